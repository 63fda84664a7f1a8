"""Seals the logs: grows their Merkle trees and publishes signed checkpoints of them.

Every service process has a sealer. A lock of its session lets one at a time lead; the others ask
for the lock every second, so that one that dies is replaced.
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
_LOOK = 1.0
_SAY_AGAIN = 60.0
log = structlog.get_logger("colloquy.sealer")


class Sealer:
    """Seals all logs for as long as it leads.

    Args:
        url: The owner's connection URL.
        place: Where the key is. It is read anew for each checkpoint, so that it can be replaced.
        folder: For the files of checkpoints.
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
        """Runs until it is cancelled; a database that is away is waited for."""
        while True:
            try:
                async with self.leading() as connection:
                    while True:
                        await self.seal(connection)
                        await asyncio.sleep(self._seconds)
            except DATABASE_ERRORS as error:
                log.warning("sealer_waiting", error=repr(error))
                await asyncio.sleep(_LOOK)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[AccountConnection]:
        """The connection whose session leads; waits for the one before it to end.

        All that a leader writes goes over this connection. So when its session is lost, and with
        it the lead, it writes no more.
        """
        connection = await connect(self._url, "colloquy_worker", KEPT_PLANS, self._primary)
        try:
            # Waiting inside the server would hold a snapshot, and with it the vacuum, back.
            while not await connection.fetchval(query("try_lock_sealing"), _LOCK):  # noqa: ASYNC110
                await asyncio.sleep(_LOOK)
            self._sound.clear()
            log.info("sealing_leads")
            yield connection
        finally:
            connection.terminate()

    async def seal(self, connection: AccountConnection) -> None:
        """One round: each log up to the head that it has now.

        An account with which something is wrong is left as it is and told of, in this round and
        those to come, and the others are sealed.
        """
        states = await sealing_states(connection)
        self._growth.reached(max((state.head for state in states), default=0))
        await connection.renew_plans(self._growth)
        await self._look_for_lost({state.account_id for state in states})
        for state in states:
            account_id = state.account_id
            if account_id in self._sound and state.head == state.sealed:
                continue
            self._sound.discard(account_id)
            await self._try_seal(connection, account_id)

    async def _try_seal(self, connection: Connection, account_id: int) -> None:
        try:
            await LogSealer(
                connection, account_id, self._place, self._folder, self._height, self._say
            ).seal()
            self._sound.add(account_id)
        except CheckpointFilesFailed as error:
            self._say("checkpoint_files_failed", account_id, error)
        except LogDamaged as error:
            self._say("log_went_back", account_id, error)
        except EventStoreError as error:
            self._say("sealing_stopped", account_id, error)
        except DATABASE_ERRORS as error:
            if is_passing(error):
                raise
            self._say("sealing_stopped", account_id, error)
        except Exception as error:  # whatever is wrong with one log, the others are sealed
            self._say("sealing_broke", account_id, error)

    async def _look_for_lost(self, accounts: set[int]) -> None:
        """A database that is older than an account has forgotten the whole of its log."""
        for account_id in await asyncio.to_thread(accounts_with_files, self._folder):
            if account_id not in accounts:
                known = f"the checkpoint files know account {account_id}, the database does not"
                self._say("log_went_back", account_id, LogDamaged(known))

    def _say(self, event: str, account_id: int, error: Exception) -> None:
        """Logs an error once, and again as long as it lasts, but not at every round."""
        now = asyncio.get_running_loop().time()
        if now >= self._said.get((event, account_id), now):
            log.error(event, account_id=account_id, error=str(error))
            self._said[event, account_id] = now + self._say_again
