"""Writes a made-up term into a database, as its owner and with COPY."""

from collections.abc import Iterator
from hashlib import sha256

from eventstore.connections import Connection, connect
from projections.definitions import definitions
from projections.parallel_build import Progress, silent
from projections.rebuild import rebuild_all
from sql.loader import query
from tests.bench.term.founding import found
from tests.bench.term.institution import Batch, Institution
from tests.bench.term.plan import START, Term, shares
from tests.bench.term.staff import close_books

BATCH = 5_000
_LAST_WORDS = 8
_TIMEOUT = 600.0

_EVENTS = (
    "account_id", "position", "stream", "revision", "event_id", "type", "conversation_id",
    "data", "metadata", "content_hash", "recorded_at",
)  # fmt: skip
_CONTENT = ("account_id", "position", "subject_id", "salt", "content")
_SET_HEAD = "UPDATE log_heads SET position = $2, recorded_at = $3 WHERE account_id = $1"
_FORGET = "DELETE FROM event_content WHERE account_id = $1 AND position = ANY ($2::bigint[])"
_ERASE_NAMES = "UPDATE users SET name = '[erased]' WHERE account_id = $1 AND user_id = ANY ($2)"
_REVOKE = "UPDATE tokens SET revoked_at = $3 WHERE account_id = $1 AND user_id = ANY ($2)"


async def write_term(url: str, term: Term, progress: Progress = silent) -> None:
    """Fills the logs of an empty database, and brings the handlers' views up to them.

    Account 1 is there already; the others are made. In each, course 1 has learner 101, teacher 1
    and experience 1. `token_of` tells anybody's token.

    Args:
        url: The owner's connection URL; the database is migrated.
        progress: Called with how many events are written.
    """
    connection = await connect(url)
    try:
        before = 0
        for share in shares(term):
            if share.account_id > 1:
                await connection.fetchval(
                    query("create_account"), f"Institution {share.account_id}"
                )
            house = found(term, share)
            await _write_roster(connection, house)
            for batch in history(house):
                await _write_batch(connection, house, batch)
                progress(before + house.head, term.events)
            await _close(connection, house)
            before += house.head
        await connection.execute("VACUUM ANALYZE events, event_content", timeout=_TIMEOUT)
    finally:
        await connection.close()
    inline = [known for known in definitions().values() if known.mode == "inline"]
    async for _ in rebuild_all(url, inline):
        pass


def history(house: Institution) -> Iterator[Batch]:
    """All that happens in an institution, some thousands of events at a time."""
    reserved = _LAST_WORDS + sum(course.keeps is not None for course in house.courses)
    while house.has_room(reserved):
        house.step()
        # A text that goes must be gone before its learner's next hold is recorded.
        if house.batch.gone or len(house.batch.events) >= BATCH:
            yield house.take_batch()
    close_books(house)
    yield house.take_batch()


def token_of(term: Term, account_id: int, user_id: int) -> str:
    """The token that a user of a term has."""
    return f"term-{term.seed}-{account_id}-{user_id}"


async def _write_batch(connection: Connection, house: Institution, batch: Batch) -> None:
    """In one transaction, since a text may go only where the event that says so is recorded."""
    account_id = house.share.account_id
    async with connection.transaction():
        await connection.copy_records_to_table(
            "events", records=batch.events, columns=_EVENTS, timeout=_TIMEOUT
        )
        await connection.copy_records_to_table(
            "event_content", records=batch.texts, columns=_CONTENT, timeout=_TIMEOUT
        )
        await connection.execute(_SET_HEAD, account_id, house.head, batch.events[-1][-1])
        if batch.gone:
            await connection.execute(_FORGET, account_id, batch.gone, timeout=_TIMEOUT)


async def _write_roster(connection: Connection, house: Institution) -> None:
    account = house.share.account_id
    teachers = sorted({course.teacher for course in house.courses})
    learners = [learner.user_id for learner in house.learners]
    users = [(account, user, f"Teacher {user}") for user in teachers]
    users += [(account, user, f"Learner {user}") for user in learners]
    taught = [(account, c.id, c.teacher, "teacher", "active") for c in house.courses]
    taken = [
        (account, course.id, learner.user_id, "learner", "active")
        for course in house.courses
        for learner in course.learners
    ]
    await connection.copy_records_to_table(
        "courses", records=[(account, course.id) for course in house.courses]
    )
    await connection.copy_records_to_table("users", records=users)
    await connection.copy_records_to_table("enrollments", records=taught + taken)
    await connection.copy_records_to_table(
        "tokens",
        records=[
            (account, user, sha256(token_of(house.term, account, user).encode()).digest(), START)
            for user in (*teachers, *learners)
        ],
        columns=("account_id", "user_id", "token_hash", "created_at"),
    )


async def _close(connection: Connection, house: Institution) -> None:
    """What the log's end has left: ids that are given out, people who are gone."""
    account_id = house.share.account_id
    gone = [learner.user_id for learner in house.learners if learner.gone]
    counters = {
        "conversation": next(house.conversations) - 1,
        "experience": len(house.experiences),
        "hold": next(house.holds) - 1,
    }
    await connection.copy_records_to_table(
        "id_counters", records=[(account_id, kind, value) for kind, value in counters.items()]
    )
    await connection.execute(_ERASE_NAMES, account_id, gone)
    await connection.execute(_REVOKE, account_id, gone, house.moment)
