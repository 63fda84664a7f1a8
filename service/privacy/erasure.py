"""Erases learners: texts, names and logins, in one transaction with the event.

First the learner's turns and evaluations are ended and their conversations completed. Then one
function of the database checks for holds, records the erasure and deletes. It holds the log's
lock, so no text of the learner can be appended meanwhile. Last, all processes purge their caches.
"""

import asyncio
from contextlib import suppress

import asyncpg
import msgspec

from eventstore.codec import encode, encode_guard
from eventstore.connections import AccountPool
from eventstore.envelope import Metadata, NewEvent
from eventstore.errors import GuardBroken, WrongExpectedRevision
from eventstore.evaluation_events import EvaluationFailed, EvaluationRequested
from eventstore.guards import Guard
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from service.dialogue.repository import DialogueKey, DialogueRepository
from service.errors import Busy, LegalHold, NotFound, TurnIsOver, UnknownUser, ViewsBeingRebuilt
from service.evaluations.evaluations import is_evaluation
from service.model.errors import CANCELLED
from service.privacy.cache_purge import CachePurge
from service.turns.control import TurnControl
from service.turns.live import Stop
from sql.loader import query

_TRIES = 20
_PAUSE = 0.2
_TIMEOUT = 600.0


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of what was removed; all 0 if nothing was left."""

    user_id: int
    texts: int
    conversations: int
    names: int
    identities: int
    tokens: int


class Inventory(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure would remove, and the holds that forbid it."""

    user_id: int
    name: str
    texts: int
    conversations: int
    identities: int
    tokens: int
    holds: tuple[int, ...]


class Erasure:
    """Erases learners.

    Args:
        log: Where running evaluations are ended.
        pool: Its role may execute `erase_learner_v2`.
        dialogues: Finds running turns.
        control: Stops them.
        cache_purge: Purges the caches of all processes.
        notifier: Announces the new events.
        rebuild_timeout: Seconds to wait for a view that is being rebuilt.
    """

    def __init__(
        self,
        log: EventLog,
        pool: AccountPool,
        dialogues: DialogueRepository,
        control: TurnControl,
        cache_purge: CachePurge,
        notifier: Notifier,
        rebuild_timeout: float,
    ) -> None:
        self._rebuild_timeout = rebuild_timeout
        self._log = log
        self._pool = pool
        self._dialogues = dialogues
        self._control = control
        self._cache_purge = cache_purge
        self._notifier = notifier

    async def inventory(self, account_id: int, user_id: int) -> Inventory:
        """What an erasure would remove now.

        Raises:
            UnknownUser: The account has no such user.
        """
        async with self._pool.acquire(account_id) as connection:
            row = await connection.fetchrow(
                query("count_learners_data"), account_id, user_id, timeout=_TIMEOUT
            )
        if row is None:
            raise UnknownUser(f"there is no user {user_id}")
        holds = await self._pool.fetch(account_id, query("list_open_holds"), account_id, user_id)
        return Inventory(user_id=user_id, holds=tuple(h["hold_id"] for h in holds), **dict(row))

    async def erase(
        self,
        account_id: int,
        user_id: int,
        reason: str,
        metadata: Metadata,
        guard: Guard | None = None,
    ) -> Erased:
        """Erases a learner. When it returns, that is on disk and this process's caches are purged.

        Args:
            reason: Why, without names of people.
            guard: Conditions that must still hold when it is recorded.

        Raises:
            GuardBroken: One does not hold any more; nothing was removed.
            LegalHold: A hold covers the learner; nothing was removed.
            UnknownUser: The account has no such user.
            ViewsBeingRebuilt: A view with texts is being rebuilt; nothing was removed.
            Busy: The learner begins new turns all the time; nothing was removed.
        """
        metadata = msgspec.structs.replace(metadata, idempotency_key=None)
        await self._refuse_held(account_id, user_id)
        for _ in range(_TRIES):
            await self._end_all(account_id, user_id, metadata, guard)
            if erased := await self._try_erase(account_id, user_id, reason, metadata, guard):
                return erased
        raise Busy(f"user {user_id} is being answered again and again; try again")

    async def _refuse_held(self, account_id: int, user_id: int) -> None:
        """Checks for holds before anything is stopped; the database checks again in the erasure."""
        rows = await self._pool.fetch(account_id, query("list_open_holds"), account_id, user_id)
        if rows:
            raise LegalHold(user_id, [row["hold_id"] for row in rows])

    async def _try_erase(
        self,
        account_id: int,
        user_id: int,
        reason: str,
        metadata: Metadata,
        guard: Guard | None,
    ) -> Erased | None:
        """Tries to erase; None if a new turn of the learner has begun meanwhile."""
        conditions = encode_guard(guard) if guard else None
        row = await self._call_database(account_id, user_id, reason, encode(metadata), conditions)
        match row["outcome"]:
            case "unknown":
                raise UnknownUser(f"there is no user {user_id}")
            case "held":
                raise LegalHold(user_id, row["holds"])
            case "answering":
                return None
            case "token" | "role" | "stream" | "erasure" as changed:
                raise GuardBroken(changed)
        self._notifier.notify(account_id)
        self._cache_purge.broadcast(account_id, user_id)
        counts = {name: row[name] for name in Erased.__struct_fields__ if name != "user_id"}
        return Erased(user_id=user_id, **counts)

    async def _call_database(self, account_id: int, *arguments: int | str | None) -> asyncpg.Record:
        """Calls the database's erasure, again while a view is being rebuilt."""
        deadline = asyncio.get_running_loop().time() + self._rebuild_timeout
        while True:
            async with self._pool.acquire(account_id) as connection:
                row = await connection.fetchrow(
                    query("erase_learner"),
                    *(account_id, *arguments),
                    timeout=_TIMEOUT,
                )
            assert row is not None
            if row["outcome"] != "rebuilding":
                return row
            if asyncio.get_running_loop().time() > deadline:
                raise ViewsBeingRebuilt
            await asyncio.sleep(_PAUSE)

    async def _end_all(
        self, account_id: int, user_id: int, metadata: Metadata, guard: Guard | None
    ) -> None:
        """Ends a learner's turns and evaluations, and completes their conversations."""
        for row in await self._pool.fetch(
            account_id, query("list_learners_active"), account_id, user_id
        ):
            key = DialogueKey(account_id, row["experience_id"], user_id)
            with suppress(NotFound):
                await self._control.complete(key, row["conversation_id"], metadata, guard)
        for row in await self._pool.fetch(
            account_id, query("list_learners_turns"), account_id, user_id
        ):
            if is_evaluation(row["stream"]):
                await self._end_evaluation(account_id, row["stream"], metadata, guard)
            else:
                key = DialogueKey.of_stream(account_id, row["stream"])
                await self._end_turn(key, Stop(reason="requested", metadata=metadata, guard=guard))

    async def _end_turn(self, key: DialogueKey, stop: Stop) -> None:
        request = await self._dialogues.running_turn(key)
        if request is not None:
            with suppress(TurnIsOver):
                await self._control.cancel(request, stop)

    async def _end_evaluation(
        self, account_id: int, stream: str, metadata: Metadata, guard: Guard | None
    ) -> None:
        """Ends an evaluation in place of its owner, whose result is then refused."""
        request = (await self._log.read_stream(account_id, stream))[0].event
        assert isinstance(request, EvaluationRequested)
        failed = EvaluationFailed(
            conversation_id=request.conversation_id, turn_id=request.turn_id, code=CANCELLED
        )
        with suppress(WrongExpectedRevision):
            await self._log.append(
                account_id,
                stream,
                [NewEvent(event=failed)],
                expected=1,
                metadata=metadata,
                guard=guard,
            )
