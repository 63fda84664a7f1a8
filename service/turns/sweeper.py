"""Closes the turns of processes that are gone, so that no conversation stays stuck."""

import asyncio

import structlog

from eventstore.connections import Pool
from eventstore.database_errors import DATABASE_ERRORS
from service.dialogue.repository import DialogueKey, Dialogues
from service.evaluations.evaluations import Evaluations, is_evaluation
from sql.loader import query

INTERVAL = 2.0
"""Seconds between two sweeps."""

_AT_ONCE = 64

log = structlog.get_logger("colloquy.sweeper")


class Sweeper:
    """Looks through the turns under way.

    Args:
        pool: For reading them.
        dialogues: For closing learners' turns.
        evaluations: For closing evaluations.
    """

    def __init__(self, pool: Pool, dialogues: Dialogues, evaluations: Evaluations) -> None:
        self._pool = pool
        self._dialogues = dialogues
        self._evaluations = evaluations

    async def sweep(self) -> None:
        """Closes the turns that nobody will end."""
        abandoned = await self._pool.fetch(query("list_abandoned_turns"))
        places = asyncio.Semaphore(_AT_ONCE)

        async def close(account_id: int, stream: str) -> None:
            async with places:
                try:
                    if await self._close(account_id, stream):
                        log.warning("turn_abandoned", account_id=account_id, stream=stream)
                except DATABASE_ERRORS:
                    raise
                except Exception:  # whatever is wrong with one, the others are to be closed
                    log.exception("turn_not_closed", account_id=account_id, stream=stream)

        async with asyncio.TaskGroup() as group:
            for row in abandoned:
                group.create_task(close(row["account_id"], row["stream"]))

    async def _close(self, account_id: int, stream: str) -> bool:
        if is_evaluation(stream):
            return await self._evaluations.close_abandoned(account_id, stream)
        return await self._dialogues.close_abandoned(DialogueKey.of_stream(account_id, stream))

    async def try_sweep(self) -> None:
        """A sweep whose failure is logged: the next one will do what it left."""
        try:
            await self.sweep()
        except* DATABASE_ERRORS as errors:
            log.warning("sweep_failed", error=repr(errors))

    async def run(self) -> None:
        """Sweeps every `INTERVAL` until it is cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.try_sweep()
