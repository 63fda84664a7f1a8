"""The invariants of the log, the views and the services' logs after a run."""

import builtins
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import asyncpg
import msgspec

from eventstore.connections import Connection, connect
from eventstore.database_errors import DATABASE_ERRORS, is_passing
from eventstore.dialogue_events import OpeningFailed, ReplyCompleted, ReplyFailed
from eventstore.envelope import RecordedEvent
from eventstore.evaluation_events import EvaluationFailed
from projections.definitions import definitions
from projections.rebuild import rebuild
from tests.projections.viewing import all_rows, rows_of
from tests.request_keys import Secrets, read_secrets
from tests.running import read_log
from tests.service.histories import assert_lawful
from tests.soak.answer_checks import acknowledgements, check_exchange, check_received, states_for
from tests.soak.expected_states import check_reads
from tests.soak.indexed_log import Log, check
from tests.soak.journal import Journal, Violation
from tests.soak.processes import is_of_database
from tests.soak.provider import Provider

OPEN_TURNS = """
SELECT count(*) FROM events a
 WHERE a.type IN ('opening_requested.v1', 'message_posted.v1', 'message_retried.v1',
                  'evaluation_requested.v1')
   AND NOT EXISTS (
       SELECT FROM events e
        WHERE e.account_id = a.account_id AND e.data->>'turn_id' = a.data->>'turn_id'
          AND e.conversation_id = a.conversation_id
          AND e.type IN ('conversation_started.v1', 'opening_failed.v1', 'reply_completed.v1',
                         'reply_failed.v1', 'reply_cancelled.v1', 'evaluation_recorded.v1',
                         'evaluation_failed.v1'))
"""
FOLLOWERS_BEHIND = """
SELECT count(*) FROM projections p JOIN projection_checkpoints c USING (name, generation)
  JOIN log_heads h USING (account_id)
 WHERE p.mode = 'followed' AND p.state = 'live' AND c.position < h.position
"""
_CONTENTS = """
SELECT e.position, e.type, e.data->>'type' AS data_type, e.content_hash, c.salt, c.content
  FROM events e LEFT JOIN event_content c USING (account_id, position)
"""
_ORPHANS = """
SELECT count(*) FROM event_content c LEFT JOIN events e USING (account_id, position)
 WHERE e.position IS NULL
"""
_KEYS = """
SELECT metadata->'actor'->>'id' AS actor, metadata->>'idempotency_key' AS key,
       array_agg(position) AS positions
  FROM events WHERE metadata ? 'idempotency_key' GROUP BY 1, 2 HAVING count(*) > 1
"""
_FAULTS = re.compile(
    "background_task_died|request_broke|reply_refused|projection_stopped|"
    "never retrieved|never awaited|was destroyed|exception in"
)


async def check_all(
    url: str, journal: Journal, provider: Provider, logs: Iterable[str]
) -> dict[str, int]:
    """Checks everything; the services have been stopped.

    Returns:
        How many of each kind were checked.

    Raises:
        Violation: The first invariant that does not hold.
    """
    log = Log(await read_log(url), await _secrets(url))
    checked = {
        "events in the log": len(log.events),
        "dialogues": len(log.states),
        "turns, each closed once": check_turns(log),
        "requests found in the log": sum(
            check_exchange(log, exchange) for exchange in journal.exchanges
        ),
        "replies as received": sum(check_received(log, text) for text in journal.received),
        "reads": check_reads(journal, states_for(log, journal), acknowledgements(log, journal)),
        "questions to the model": check_provider(provider),
        "lines of the services' logs": sum(check_service_log(text) for text in logs),
    }
    connection = await connect(url)
    try:
        checked["keys"] = len(log.keys)
        check("a key stands on one event", not (twice := await connection.fetch(_KEYS)), twice)
        checked["content hashes"] = await check_contents(connection)
        checked |= await check_views(connection, url)
    finally:
        await connection.close()
    return checked


async def _secrets(url: str) -> Secrets:
    connection = await connect(url)
    try:
        return await read_secrets(connection)
    finally:
        await connection.close()


def check_turns(log: Log) -> int:
    """The log is lawful, and every turn is closed exactly once, by the reply to its own message."""
    try:
        assert_lawful(log.events)
    except AssertionError as error:
        raise Violation("the log is lawful", error) from error
    for turn_id, begun in log.begun.items():
        ends = log.ends[turn_id]
        check("every turn is closed exactly once", len(ends) == 1, log.turn(turn_id))
        check("a turn is closed after it began", ends[0].position > begun.position, ends)
        _check_reply(log, begun, ends[0])
    check("only turns that began are closed", set(log.ends) == set(log.begun))
    return len(log.begun)


def _check_reply(log: Log, begun: RecordedEvent, end: RecordedEvent) -> None:
    event = end.event
    if isinstance(event, ReplyCompleted):
        for message_id in (*event.answers, begun.event.message_id):  # type: ignore[union-attr]
            words = log.words[message_id]
            fits = words is not None and words in (end.content or "")
            check("a reply answers its own messages", fits, (words, end.content))
    if isinstance(event, ReplyFailed | OpeningFailed | EvaluationFailed):
        fault = event.code == "internal_error" and not _is_of_database(event.detail)
        check("no turn ends by a fault of the service", not fault, log.turn(event.turn_id))


def _is_of_database(detail: str) -> bool:
    """Whether this names an error of a database that went away."""
    kind = getattr(builtins, detail, None) or getattr(asyncpg, detail, None)
    return isinstance(kind, type) and issubclass(kind, DATABASE_ERRORS) and is_passing(kind(""))


def check_provider(provider: Provider) -> int:
    """Every request to the model is well-formed: question and reply in turn."""
    check("the model gets question and reply in turn", not provider.complaints, provider.complaints)
    return sum(provider.moods.values())


_CLOSING_RACE = re.compile(
    r"_handler_waiter\.set_result\(None\)\n([ ^~]+\n)?\S*InvalidStateError[^\n]*\s*\Z"
)
"""An error of aiohttp: a request ends just when a stopping server gives up waiting for it."""


def check_service_log(text: str) -> int:
    """A service's log has no error except those of a database that was killed."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError:
            whole = number == len(lines) - 1  # a killed process may have written half a line
            check("a service's log is JSON", whole, "\n".join(lines[number : number + 25]))
            continue
        fault = entry.get("exception")
        known = fault is None or is_of_database(fault) or _CLOSING_RACE.search(fault) is not None
        check("no service breaks", known and not _FAULTS.search(entry["event"]), line)
    return len(lines)


async def check_contents(connection: Connection) -> int:
    """Every event's hash is that of its salt and content, and its type that of its data."""
    rows = await connection.fetch(_CONTENTS)
    for row in rows:
        check("the type is that of the data", row["type"] == row["data_type"], row)
        expected = None
        if row["content"] is not None:
            expected = hashlib.sha256(row["salt"] + row["content"].encode()).digest()
        check("a content hash is that of the content", row["content_hash"] == expected, row)
    check("every content belongs to an event", not await connection.fetchval(_ORPHANS))
    return len(rows)


async def check_views(connection: Connection, url: str) -> dict[str, int]:
    """Every view has the rows that a rebuild makes."""
    before = await all_rows(connection)
    checked = {}
    for name, known in definitions().items():
        await rebuild(url, known)
        after = await rows_of(connection, known)
        check(
            f"{name} is equal to a rebuild", before[name] == after, _differing(before[name], after)
        )
        checked[f"rows of {name}"] = len(after)
    check("no turn is left in pending_turns", not before["pending_turns"], before["pending_turns"])
    return checked


def _differing(before: list[Any], after: list[Any]) -> str:
    lost, gained = Counter(map(repr, before)), Counter(map(repr, after))
    return f"not in the rebuild: {list(lost - gained)[:3]}\nonly there: {list(gained - lost)[:3]}"
