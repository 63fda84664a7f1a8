"""Helpers of tests of sealing: filled logs, rounds of a sealer, and a check of the results."""

from pathlib import Path

from structlog.testing import capture_logs

from eventstore.connections import Connection
from eventstore.sealing.checkpoint_files import read_notes
from eventstore.sealing.sealer import Sealer
from eventstore.sealing.signed_checkpoint import verify
from eventstore.sealing.signing_keys import (
    KeyLocation,
    Signer,
    generate_successor,
    list_keys,
    read_signer,
    replace_key,
)
from tests.eventstore.sealing.trees import leaves_of_log, naive_root

FILL = """
INSERT INTO events (account_id, position, stream, revision, event_id, type, data, metadata,
                    recorded_at)
SELECT $1, n, 's', n, gen_random_uuid(), 'x.v1', jsonb_build_object('n', n), '{}', now()
  FROM generate_series($2::bigint, $3::bigint) AS n
"""
SET_HEAD = "UPDATE log_heads SET position = $2 WHERE account_id = $1"
HEADS = "SELECT size, root, note FROM tree_heads WHERE account_id = $1 ORDER BY size"


def replace_unrecorded(place: KeyLocation) -> Signer:
    """Replaces the key without a record in any log."""
    new = generate_successor(read_signer(place))
    replace_key(place, new)
    return new


async def fill(owner: Connection, first: int, last: int, account_id: int = 1) -> None:
    """Fills a log with events by one statement."""
    await owner.execute(FILL, account_id, first, last)
    await owner.execute(SET_HEAD, account_id, last)


async def forget(owner: Connection, after: int, account_id: int = 1) -> None:
    """Truncates a log, as an older backup does."""
    for table in ("events", "tree_heads", "tree_tiles"):
        await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    await owner.execute(
        "DELETE FROM events WHERE account_id = $1 AND position > $2", account_id, after
    )
    await owner.execute(
        "DELETE FROM tree_heads WHERE account_id = $1 AND size > $2", account_id, after
    )
    await owner.execute("DELETE FROM tree_tiles WHERE account_id = $1", account_id)
    await owner.execute(SET_HEAD, account_id, after)


async def seal(sealer: Sealer, rounds: int = 1) -> list[str]:
    """Runs rounds of one leader; returns the names of logged errors."""
    with capture_logs() as logs:
        async with sealer.leading() as connection:
            for _ in range(rounds):
                await sealer.seal(connection)
    return [entry["event"] for entry in logs if entry["log_level"] == "error"]


async def sealed(owner: Connection, account_id: int = 1) -> int:
    """Size of the last checkpoint."""
    heads = await owner.fetch(HEADS, account_id)
    return heads[-1]["size"] if heads else 0


async def is_sealed_well(
    owner: Connection, place: KeyLocation, folder: Path, account_id: int = 1
) -> bool:
    """Whether the whole log is sealed, with every checkpoint valid and in the files."""
    leaves = await leaves_of_log(owner, account_id)
    heads = await owner.fetch(HEADS, account_id)
    if not heads or heads[-1]["size"] != len(leaves):
        return False
    for head in heads:
        checkpoint = verify(head["note"], list_keys(place))
        assert checkpoint.origin == f"{list_keys(place)[0].name}/{account_id}"
        assert (checkpoint.size, checkpoint.root) == (head["size"], head["root"])
        assert checkpoint.root == naive_root(leaves[: checkpoint.size])
    in_files = [
        note
        for path in sorted((folder / str(account_id)).glob("*.checkpoints"))
        for note in read_notes(path)
    ]
    return in_files == [head["note"] for head in heads]
