"""Exports of institutions, freshness, replaced tables, and refused folders."""

import asyncio
import fcntl
import os
from datetime import date
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest

from eventstore.connections import Connection
from projections.definitions import Definition, definition
from projections.parallel_build import silent
from projections.rebuild import rebuild
from service.analytics.errors import ExportBehind, ExportRefused, TablesReplaced, UnknownTable
from service.analytics.table_files.export_folder import NO_DATE
from service.analytics.table_files.folder_check import check_folder
from service.analytics.table_files.manifest import MANIFEST, Manifest
from service.analytics.table_files.snapshot import Snapshot
from service.analytics.table_files.tables import choose, list_columns, list_tables
from tests.eventstore.building import Learner, add_account, append_steps
from tests.projections.analysing import Analysis
from tests.projections.viewing import Parts
from tests.service.analytics.table_files.exports import FORMATS, TABLES, rows_of, take

OWN = Definition(
    name="shares",
    description="One row a message.",
    version=1,
    mode="followed",
    schema="analytics",
    interface=1,
    tables=("shares",),
    consumes=("message_posted.v1",),
    readers=("colloquy_analyst",),
    definition="""
        CREATE TABLE shares (account_id bigint, position bigint, share numeric, tags text[],
                             PRIMARY KEY (account_id, position))
    """,
    statements=(
        """
        INSERT INTO shares
        SELECT e.account_id, e.position, 0.1, ARRAY['a,b', 'c'] FROM events e
         WHERE e.account_id = apply.account AND e.type = 'message_posted.v1'
           AND e.position > apply.after_position AND e.position <= apply.upto_position;
        """,
    ),
)


async def test_institutions_have_folders_of_their_own(
    ada: Learner,
    log_parts: Parts,
    analysis: Analysis,
    owner: Connection,
    database_url: str,
    out: Path,
) -> None:
    await add_account(owner, 2)
    learner = Learner(user_id=202)
    steps = [learner.asks_to_open(), learner.opens(), learner.says()]
    await append_steps(log_parts[0], steps, account_id=2)
    await analysis.sees("turn_facts", "turn_id")
    await take(database_url, out, table="turn_facts", account=2)
    assert rows_of(out, "turn_facts", "DISTINCT account_id, user_id") == [(2, 202)]
    await take(database_url, out, table="turn_facts")
    both = rows_of(out, "turn_facts", "DISTINCT account_id, account, user_id")
    assert both == [(1, 1, 101), (2, 2, 202)]


async def test_a_table_behind_the_log_is_exported_with_a_warning(
    ada: Learner, analysis: Analysis, database_url: str, out: Path
) -> None:
    assert not (await take(database_url, out)).warnings
    await analysis.happens(ada.says())
    taken = await take(database_url, out, table="turn_facts")
    (warning,) = taken.warnings
    assert str(warning).startswith("turn_facts of account 1 is 1 event (")
    assert (taken.files, taken.written[0].head - taken.written[0].position) == ({}, 1)
    with pytest.raises(ExportBehind, match="turn_facts of account 1 is 1 event "):
        await take(database_url, out, table="turn_facts", fresh=0.2)
    await analysis.sees("turn_facts", "turn_id")
    fresh = await take(database_url, out, table="turn_facts", fresh=0)
    assert (fresh.files, fresh.warnings) == ({("turn_facts", 1): 1}, [])


async def test_a_user_defined_table_is_exported(
    ada: Learner, owner: Connection, database_url: str, out: Path
) -> None:
    """Without a column for the day, in one file; values of other types are text."""
    await rebuild(database_url, OWN)
    assert len((await take(database_url, out)).written) == len(TABLES) + 1
    (line,) = Manifest(out).days("shares", 1).values()
    assert (line.date, line.rows) == (None, 2)
    assert f"date={NO_DATE}" in line.path
    assert rows_of(out, "shares", "share, tags")[0] == ("0.1", '{"a,b",c}')


async def test_a_table_without_rows_gets_a_file_with_its_columns(
    log_parts: Parts, analysis: Analysis, owner: Connection, database_url: str, out: Path
) -> None:
    """Readers find each table from the beginning; its first rows replace that file."""
    await add_account(owner, 2)
    for format_ in FORMATS:
        for since in (None, 0, date(2031, 3, 1)):
            folder = out / f"{format_}-{since}"
            taken = await take(database_url, folder, format_, since=since)
            assert set(taken.files.values()) == {1}
            assert set(taken.files) == {(name, number) for name in TABLES for number in (1, 2)}
            assert not (await take(database_url, folder, format_, since=since)).files
            assert check_folder(folder, silent).problems == []
    for table in TABLES:
        names = [column.name for column in await list_columns(owner, table)]
        empty = f"{table}/account=1/date={NO_DATE}/{table}"
        schema = pyarrow.parquet.read_schema(out / "parquet-None" / f"{empty}.parquet")
        assert schema.names == names
        header = (out / "csv-None" / f"{empty}.csv").read_text()
        assert header.replace('"', "").strip().split(",") == names
        assert (out / "ndjson-None" / f"{empty}.ndjson").read_bytes() == b""
        assert rows_of(out / "parquet-None", table, "count(*), count(account_id)") == [(0, 0)]
    ada = Learner()
    await append_steps(log_parts[0], [ada.asks_to_open(), ada.opens()])
    await analysis.sees("turn_facts", "turn_id")
    folder = out / "parquet-None"
    assert ("turn_facts", 1) in (await take(database_url, folder)).files
    assert NO_DATE not in str(Manifest(folder).days("turn_facts", 1).values())
    assert not list((folder / "turn_facts" / "account=1").glob(f"date={NO_DATE}/*"))
    assert list((folder / "turn_facts" / "account=2").glob(f"date={NO_DATE}/*"))
    assert rows_of(folder, "turn_facts", "count(*)") == [(1,)]
    assert check_folder(folder, silent).problems == []


async def test_a_table_replaced_since_it_was_listed_is_refused(
    ada: Learner, owner: Connection, database_url: str
) -> None:
    tables = choose(await list_tables(owner, {}), "turn_facts")
    older = [msgspec.structs.replace(tables[0], version=1)]
    with pytest.raises(TablesReplaced):
        async with Snapshot.of(database_url, 1, older):
            pass


async def test_rows_and_cut_are_of_one_snapshot(
    ada: Learner, analysis: Analysis, owner: Connection, database_url: str
) -> None:
    tables = choose(await list_tables(owner, {}), "turn_facts")
    async with Snapshot.of(database_url, 1, tables) as snapshot:
        columns = await snapshot.columns(tables[0])
        await analysis.happens(ada.says())
        await analysis.sees("turn_facts", "turn_id")
        (day,) = await snapshot.days(tables[0], columns)
        fresh = snapshot.freshness(tables[0])
    assert day.rows == 3
    assert day.position <= fresh.position == fresh.head


async def test_an_analysts_session_reads_one_institution(
    ada: Learner, owner: Connection, database_url: str
) -> None:
    await add_account(owner, 2)
    tables = choose(await list_tables(owner, {}), "turn_facts")
    async with Snapshot.of(database_url, 2, tables) as snapshot:
        assert await snapshot.days(tables[0], await snapshot.columns(tables[0])) == []


async def test_a_folder_with_something_else_is_refused(
    ada: Learner, database_url: str, out: Path
) -> None:
    out.mkdir()
    (out / "thesis.txt").touch()
    with pytest.raises(ExportRefused, match="holds something else than an export"):
        await take(database_url, out)
    with pytest.raises(ExportRefused, match="cannot write"):
        await take(database_url, out / "thesis.txt" / "below")
    with pytest.raises(ExportRefused, match="holds no export"):
        check_folder(out, silent)
    (out / MANIFEST).write_text('{"kind": "something"}\n')
    with pytest.raises(ExportRefused, match=r"manifest.ndjson line 1 is not of an export"):
        await take(database_url, out)


async def test_two_exports_do_not_write_to_one_folder(
    ada: Learner, database_url: str, out: Path
) -> None:
    out.mkdir()
    other = os.open(out, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(ExportRefused, match="another export is writing to"):
        await take(database_url, out)
    os.close(other)
    assert (await take(database_url, out)).files


async def test_an_unknown_table_is_refused_with_a_list_of_tables(
    database_url: str, out: Path
) -> None:
    with pytest.raises(UnknownTable, match=f"no table feelings; there are {', '.join(TABLES)}"):
        await take(database_url, out, table="feelings")
    assert not out.exists()


async def test_a_file_that_cannot_be_written_is_named(
    ada: Learner, database_url: str, out: Path
) -> None:
    out.mkdir()
    (out / MANIFEST).touch()
    (out / "turn_facts").touch()
    with pytest.raises(ExportRefused, match=r"cannot write .*turn_facts"):
        await take(database_url, out, table="turn_facts")


async def test_a_rebuild_during_an_export_loses_no_rows(
    ada: Learner, log_parts: Parts, database_url: str, tmp_path: Path
) -> None:
    done = asyncio.Event()

    async def replace() -> None:
        while not done.is_set():
            await rebuild(database_url, definition("turn_facts"))

    replacing = asyncio.create_task(replace())
    try:
        for number in range(5):
            await take(database_url, tmp_path / str(number), table="turn_facts")
            assert len(rows_of(tmp_path / str(number), "turn_facts")) == 3
    finally:
        done.set()
        await replacing
