"""Seals all logs: grows their Merkle trees and publishes signed checkpoints.

Every service process has a sealer. An advisory lock makes one of them the leader; the others try
the lock every second, so that a leader that dies is replaced.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from eventstore.connections import KEPT_PLANS, AccountConnection, Connection, LogGrowth, connect
from eventstore.database_errors import DATABASE_ERRORS, is_passing
from eventstore.errors import CheckpointFilesFailed, EventStoreError, LogDamaged
from eventstore.primary import Primary
from eventstore.sealing.checkpoint_files import accounts_with_files
from eventstore.sealing.log_sealer import LogSealer
from eventstore.sealing.sealing_state import sealing_states
from eventstore.sealing.signing_keys import KeyLocation
from eventstore.sealing.tiles import HEIGHT
from sql.loader import query

_LOCK = 0x636F6C6C7365616C  # "collseal"
_RETRY = 1.0
_SAY_AGAIN = 60.0
log = structlog.get_logger("colloquy.sealer")


class Sealer:
    """Seals all logs for as long as it leads.

    Args:
        url: The owner's connection URL.
        place: The key's location. The key is read for each checkpoint, so that it can be replaced.
        folder: For all accounts' files of checkpoints.
        seconds: Pause between two rounds.
        height: Levels of the tree that one tile spans.
        primary: Shared with the process's other connections.
        say_again: Seconds after which an error that lasts is logged again.
    """

    def __init__(
        self,
        url: str,
        place: KeyLocation,
        folder: Path,
        seconds: float,
        height: int = HEIGHT,
        primary: Primary | None = None,
        say_again: float = _SAY_AGAIN,
    ) -> None:
        self._say_again = say_again
        self._url = url
        self._primary = primary
        self._place = place
        self._folder = folder
        self._seconds = seconds
        self._height = height
        self._growth = LogGrowth()
        self._sound: set[int] = set()
        self._said: dict[tuple[str, int], float] = {}

    async def run(self) -> None:
        """Runs until it is cancelled; waits for a database that is away."""
        while True:
            try:
                async with self.leading() as connection:
                    while True:
                        await self.seal(connection)
                        await asyncio.sleep(self._seconds)
            except DATABASE_ERRORS as error:
                log.warning("sealer_waiting", error=repr(error))
                await asyncio.sleep(_RETRY)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[AccountConnection]:
        """The leader's connection; waits until the leader before it ends.

        A leader writes over this connection only, so a session that has lost the lock writes no
        more.
        """
        connection = await connect(self._url, "colloquy_worker", KEPT_PLANS, self._primary)
        try:
            # Waiting in the server would hold a snapshot, which holds back vacuum.
            while not await connection.fetchval(query("try_lock_sealing"), _LOCK):  # noqa: ASYNC110
                await asyncio.sleep(_RETRY)
            self._sound.clear()
            log.info("sealing_leads")
            yield connection
        finally:
            connection.terminate()

    async def seal(self, connection: AccountConnection) -> None:
        """Seals each log up to its current head.

        An account that cannot be sealed is logged, in this round and the next ones; the others are
        sealed.
        """
        states = await sealing_states(connection)
        self._growth.reached(max((state.head for state in states), default=0))
        await connection.renew_plans(self._growth)
        await self._report_lost_accounts({state.account_id for state in states})
        for state in states:
            account_id = state.account_id
            if account_id in self._sound and state.head == state.sealed:
                continue
            self._sound.discard(account_id)
            await self._try_seal(connection, account_id)

    async def _try_seal(self, connection: Connection, account_id: int) -> None:
        try:
            await LogSealer(
                connection, account_id, self._place, self._folder, self._height, self._log_failure
            ).seal()
            self._sound.add(account_id)
        except CheckpointFilesFailed as error:
            self._log_failure("checkpoint_files_failed", account_id, error)
        except LogDamaged as error:
            self._log_failure("log_went_back", account_id, error)
        except EventStoreError as error:
            self._log_failure("sealing_stopped", account_id, error)
        except DATABASE_ERRORS as error:
            if is_passing(error):
                raise
            self._log_failure("sealing_stopped", account_id, error)
        except Exception as error:  # the other logs are still sealed
            self._log_failure("sealing_broke", account_id, error)

    async def _report_lost_accounts(self, accounts: set[int]) -> None:
        """Reports accounts with files but without a log, as an old backup of the database has."""
        for account_id in await asyncio.to_thread(accounts_with_files, self._folder):
            if account_id not in accounts:
                known = f"the checkpoint files know account {account_id}, the database does not"
                self._log_failure("log_went_back", account_id, LogDamaged(known))

    def _log_failure(self, event: str, account_id: int, error: Exception) -> None:
        """Logs an error, and again every `say_again` seconds while it lasts."""
        now = asyncio.get_running_loop().time()
        if now >= self._said.get((event, account_id), now):
            log.error(event, account_id=account_id, error=str(error))
            self._said[event, account_id] = now + self._say_again
