"""A live projection is compared with a new version."""

import msgspec
import pytest

from eventstore.connections import Connection, Pool
from projections.compare import Comparison, compare
from projections.definitions import Definition, definition
from projections.errors import NotInstalled
from projections.rebuild import rebuild
from tests.eventstore.building import Learner, append, append_steps, dialogue, messages
from tests.projections.viewing import TALLY, Parts, catch_up, generations, schemas, with_version

FACTS = msgspec.structs.replace(
    TALLY,
    schema="analytics",
    definition="CREATE TABLE tally (account_id bigint NOT NULL, position bigint NOT NULL, "
    "weight bigint, note text, PRIMARY KEY (account_id, position))",
    statements=(
        """
        INSERT INTO tally (account_id, position, weight)
        SELECT e.account_id, e.position, 1 FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position;
        """,
    ),
)
CHANGED = msgspec.structs.replace(
    with_version(FACTS, 2),
    definition=FACTS.definition.replace("note text", "extra text"),
    statements=(
        *FACTS.statements,
        "UPDATE tally SET weight = 5 WHERE position = 2;",
        "DELETE FROM tally WHERE position = 3;",
        "INSERT INTO tally SELECT apply.account, 99, 1 WHERE apply.after_position < 1;",
    ),
)


async def compared(database_url: str, known: Definition, owner: Connection) -> Comparison:
    """A comparison, which leaves nothing behind."""
    before = await generations(owner, known.name), await schemas(owner, known.name)
    found = await compare(database_url, known)
    assert (await generations(owner, known.name), await schemas(owner, known.name)) == before
    return found


@pytest.mark.parametrize("name", ["conversations", "conversation_messages", "turn_facts"])
async def test_the_same_program_makes_equal_rows(
    name: str, log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await append_steps(log, dialogue(Learner()))
    await catch_up(workers, notifier)
    await append_steps(log, dialogue(Learner(102, conversation_ids=iter([2]))))  # not yet followed
    found = await compared(database_url, definition(name), owner)
    assert found.equal
    assert all(table.samples == () for table in found.tables)
    assert next(found.lines()).endswith(": equal")


async def test_differences_are_reported_by_column_count_and_key(
    log_parts: Parts, workers: Pool, database_url: str, owner: Connection
) -> None:
    log, _, notifier = log_parts
    await rebuild(database_url, FACTS)
    await append(log, "s", *messages(4))
    await catch_up(workers, notifier)
    found = await compared(database_url, CHANGED, owner)
    (table,) = found.tables
    assert not found.equal
    assert (found.old_version, found.new_version, found.positions) == (1, 2, 4)
    assert (table.added, table.removed) == (("extra",), ("note",))
    assert (table.only_old, table.only_new, table.changed) == (1, 1, 1)
    assert list(found.lines())[1:] == [
        "tally: columns new: extra",
        "tally: columns gone: note",
        "tally: 1 row only in the old, 1 only in the new, 1 changed",
        "  position 2, account_id 1: weight 1 → 5",
        "  position 3, account_id 1 only in the old",
        "  position 99, account_id 1 only in the new",
    ]


async def test_rows_that_may_hold_texts_are_reported_by_key_only(
    log_parts: Parts, database_url: str, owner: Connection
) -> None:
    await append_steps(log_parts[0], dialogue(Learner()))
    known = definition("conversation_messages")
    shouting = msgspec.structs.replace(
        with_version(known, 99),
        statements=(*known.statements, "UPDATE conversation_messages SET text = upper(text);"),
    )
    found = await compared(database_url, shouting, owner)
    (table,) = found.tables
    assert table.changed > 0
    assert all(sample.old is sample.new is None for sample in table.samples)
    assert "WHAT DO YOU KNOW" not in "".join(found.lines()).upper()


async def test_a_projection_that_is_not_installed_cannot_be_compared(
    database_url: str, owner: Connection
) -> None:
    with pytest.raises(NotInstalled, match="no projection tally yet"):
        await compared(database_url, FACTS, owner)
