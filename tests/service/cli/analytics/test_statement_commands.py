"""`colloquy analytics statements`: files and stores, as real processes that are killed."""

import asyncio
import getpass
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventstore.connections import AccountPool, Connection
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from eventstore.privacy_events import HistoryRead
from tests.eventstore.building import Learner, add_account, append_steps, experience_created
from tests.running import ROOT, colloquy, environment_of, eventually, read_log
from tests.service.analytics.course_history import BASE, erased, everything, lines, talk
from tests.service.analytics.learning_records.store import PASSWORD, TOKEN, USER, running_store
from tests.service.cli.command_runs import Run, refused

Parts = tuple[EventLog, AccountPool, Notifier]
MAKE = ("analytics", "statements", "--format", "xapi")


def settings(database_url: str, **more: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "COLLOQUY_PUBLIC_URL": BASE, **more}


async def reads(database_url: str) -> list[HistoryRead]:
    events = [event.event for event in await read_log(database_url)]
    return [event for event in events if isinstance(event, HistoryRead)]


@asynccontextmanager
async def process(
    environment: dict[str, str], *words: object
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command as a process that does not outlive the context."""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service.cli", *MAKE, *map(str, words)),
        env=environment_of(environment),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def test_statements_are_written_a_line_each_and_it_is_recorded(
    log_parts: Parts, database_url: str
) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    head = await log.head(1)
    code, out, err = await colloquy(settings(database_url), *MAKE, "--reason", "the term's report")
    assert code == 0, err
    assert out.encode().splitlines() == await lines(pool)
    assert err == f"13 records written, up to position {head}\n"
    assert await reads(database_url) == [
        HistoryRead(
            what=f"analytics statements xapi to a file, positions 1 to {head}",
            reason="the term's report",
            operator=getpass.getuser(),
        )
    ]


async def test_nothing_new_is_nothing_to_record(log_parts: Parts, database_url: str) -> None:
    log, _, _ = log_parts
    await append_steps(log, everything())
    head = await log.head(1)
    code, out, err = await colloquy(settings(database_url), *MAKE, "--since", str(head))
    assert (code, out, err) == (0, "", f"0 records written, up to position {head}\n")
    assert await log.head(1) == head
    code, out, err = await colloquy(settings(database_url), *MAKE, "--since", str(head + 1))
    assert (code, out, err) == (1, "", f"colloquy: --since {head + 1}: the log ends at {head}\n")


async def test_positions_and_times_bound_what_is_made(
    log_parts: Parts, database_url: str, on_database: Run
) -> None:
    log, pool, _ = log_parts
    recorded = await append_steps(log, everything())
    whole = await lines(pool)
    middle, early = recorded[5], "2001-01-01"

    async def made(*words: str) -> list[bytes]:
        code, out, err = await colloquy(settings(database_url), *MAKE, *words)
        assert code == 0, err
        return out.encode().splitlines()

    first = await made("--until", str(middle.position))
    assert 0 < len(first) < len(whole)
    assert first + await made("--since", str(middle.position)) == whole
    assert await made("--since", early, "--until", "2999-01-01") == whole
    assert await made("--until", early) == []
    assert await made("--until", middle.recorded_at.isoformat()) == first


async def test_a_reason_can_be_required(log_parts: Parts, database_url: str) -> None:
    log, _, _ = log_parts
    await append_steps(log, everything())
    required = settings(database_url, COLLOQUY_AUDIT_REASON="required")
    code, out, err = await colloquy(required, *MAKE)
    assert (code, out) == (1, "")
    assert "--reason" in err
    assert await reads(database_url) == []


@pytest.mark.slow
async def test_a_store_has_each_statement_once_though_the_sender_was_killed(
    log_parts: Parts, database_url: str, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=20)
    expected = [msgspec.json.decode(line) for line in await lines(pool)]
    environment = settings(database_url, COLLOQUY_LRS_AUTH=f"{USER}:{PASSWORD}")
    checkpoint = tmp_path / "checkpoint"
    async with running_store() as store:
        to_store = ("--post", store.xapi, "--batch", 4, "--checkpoint", checkpoint)
        store.free = 2
        async with process(environment, *to_store) as sender:
            await asyncio.wait_for(store.waiting.wait(), 60)
            sender.kill()
            await sender.wait()
        assert len(store.records) == 8, "the third batch is on its way"
        store.gate.set()
        await eventually(lambda: len(store.records) == 12)
        code, out, err = await colloquy(environment, *MAKE, *map(str, to_store))
        assert (code, out) == (0, ""), err
        assert list(store.records.values()) == expected
        sent = [statement["id"] for body in store.bodies for statement in decode(body)]
        assert len(sent) == len(expected) + 4, "one batch was sent twice"
        requests = len(store.requests)
        assert (await colloquy(environment, *MAKE, *map(str, to_store)))[0] == 0
        assert len(store.requests) == requests, "all was there"
        assert len(await reads(database_url)) == 2
        traces = err + checkpoint.read_text() + repr(await reads(database_url))
        assert PASSWORD not in traces


async def test_a_learner_who_is_erased_during_an_export_is_left_out_from_then_on(
    log_parts: Parts, database_url: str
) -> None:
    """Although its events were read before: one window reads the whole log."""
    log, pool, _ = log_parts
    ids = count(1)
    gone, stays = Learner(101, conversation_ids=ids), Learner(102, conversation_ids=ids)
    steps = [experience_created()]
    for learner in (gone, stays):
        steps += [learner.asks_to_open(), learner.opens()]
    for _ in range(10):
        steps += [who.says() for who in (gone, stays)] + [
            who.is_answered() for who in (gone, stays)
        ]
    await append_steps(log, steps)
    whole = len(await lines(pool))
    async with running_store() as store:
        store.free = 1
        async with process(settings(database_url), "--post", store.xapi, "--batch", 4) as sender:
            await asyncio.wait_for(store.waiting.wait(), 60)
            await append_steps(log, [erased(101)])
            store.gate.set()
            _, err = await asyncio.wait_for(sender.communicate(), 60)
        assert sender.returncode == 0, err
        late = [s["actor"]["account"]["name"] for body in store.bodies[2:] for s in decode(body)]
        assert set(late) == {"102"}
        left = [msgspec.json.decode(line)["id"] for line in await lines(pool)]
        assert set(left) < set(store.records), "all of who stays, and the first of who went"
        assert f"{len(store.records)} records sent".encode() in err
        assert len(store.records) < whole


def decode(body: bytes) -> list[dict[str, Any]]:
    return msgspec.json.decode(body, type=list[dict[str, Any]])


@pytest.mark.slow
async def test_a_file_has_each_line_once_though_the_writer_was_killed(
    log_parts: Parts, database_url: str, tmp_path: Path
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=100, learners=12)
    file, checkpoint = tmp_path / "records", tmp_path / "checkpoint"
    to_file = ("--out", file, "--checkpoint", checkpoint)
    async with process(settings(database_url), *to_file) as writer:
        await eventually(lambda: file.exists() and file.stat().st_size > 0)
        writer.kill()
        await writer.wait()
    code, out, err = await colloquy(settings(database_url), *MAKE, *map(str, to_file))
    assert (code, out) == (0, ""), err
    assert file.read_bytes().splitlines() == await lines(pool)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_after_the_batch_that_is_under_way(
    log_parts: Parts, database_url: str, tmp_path: Path, number: signal.Signals
) -> None:
    log, pool, _ = log_parts
    await talk(log, exchanges=100)
    whole = await lines(pool)
    async with running_store() as store:
        store.free = 1
        words = ("--post", store.xapi, "--batch", 4, "--checkpoint", tmp_path / "checkpoint")
        async with process(settings(database_url), *words) as sender:
            await asyncio.wait_for(store.waiting.wait(), 60)
            sender.send_signal(number)
            store.gate.set()
            out, err = await asyncio.wait_for(sender.communicate(), 60)
        assert (sender.returncode, out) == (1, b"")
        told = err.decode().splitlines()
        done = len(store.records)
        assert done % 4 == 0, "whole batches"
        assert 8 <= done < len(whole)
        assert told[0].startswith("colloquy: stopping after the current batch")
        assert told[1].startswith(f"{done} records sent, up to position ")
        assert told[2].startswith("colloquy: stopped before position ")
        code, _, err_then = await colloquy(settings(database_url), *MAKE, *map(str, words))
        assert code == 0, err_then
        sent = sum(len(decode(body)) for body in store.bodies)
        assert len(store.records) == sent == len(whole), "none twice"


async def test_a_refusal_by_the_store_is_one_line(log_parts: Parts, database_url: str) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    third = msgspec.json.decode((await lines(pool))[2])["id"]
    async with running_store() as store:
        store.records[third] = {"id": third, "verb": "another"}
        code, out, err = await colloquy(settings(database_url), *MAKE, "--post", store.xapi)
    assert (code, out) == (1, "")
    assert err.startswith(f"colloquy: the store has record {third} (position ")
    assert err.count("\n") == 1


async def test_caliper_events_go_to_an_endpoint(log_parts: Parts, database_url: str) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    environment = settings(database_url, COLLOQUY_LRS_AUTH=f"Bearer {TOKEN}")
    words = ("analytics", "statements", "--format", "caliper", "--post")
    async with running_store() as store:
        code, _, err = await colloquy(environment, *words, store.caliper)
        assert code == 0, err
        assert [*store.records.values()] == [
            msgspec.json.decode(line) for line in await lines(pool, "caliper")
        ]


async def test_an_institution_has_its_own_names(
    log_parts: Parts, database_url: str, owner: Connection
) -> None:
    log, _, _ = log_parts
    await add_account(owner, 2)
    await append_steps(log, everything(Learner(500)), account_id=2)
    code, out, err = await colloquy(settings(database_url), *MAKE, "--account", "2")
    assert code == 0, err
    assert f"{BASE}/accounts/2/courses/1" in out
    assert "/accounts/1" not in out


def test_what_cannot_be_is_refused_before_anything_is_made(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    none = run(*MAKE, DATABASE_URL=database_url)
    assert "COLLOQUY_PUBLIC_URL" in refused(none)
    given = settings(database_url)
    assert refused(run(*MAKE, "--account", 9, **given)).startswith("there is no account 9")
    assert "--since" in refused(run(*MAKE, "--since", "soon", **given))
    unfit = settings(database_url, COLLOQUY_LRS_AUTH="s3cret")
    told = refused(run(*MAKE, "--post", "http://127.0.0.1:9/", **unfit))
    assert "COLLOQUY_LRS_AUTH" in told
    assert "s3cret" not in told
    (tmp_path / "thesis").write_text("Chapter 1")
    message = refused(run(*MAKE, "--out", tmp_path / "thesis", **given))
    assert "is not empty, and no checkpoint continues it" in message


@pytest.mark.parametrize(
    "words",
    [
        ("--out", "x", "--post", "http://127.0.0.1:9/"),
        ("--checkpoint", "x"),
        ("--checkpoint", "x", "--out", "-"),
        ("--post", "127.0.0.1"),
        ("--post", "ftp://127.0.0.1/"),
        ("--post", "https://lrs..example.edu/"),
        ("--post", f"https://{'x' * 64}.example.edu/"),
        ("--out", "same", "--checkpoint", "same"),
        ("--out", "kept.draft", "--checkpoint", "kept"),
        ("--out", "kept.lock", "--checkpoint", "./kept"),
        ("--post", "https://user:s3cret@127.0.0.1/"),
        ("--post", "https://127.0.0.1/?key=s3cret"),
        ("--iri", "example"),
        ("--batch", 0),
        ("--course", 0),
    ],
    ids=lambda words: " ".join(map(str, words)),
)
def test_options_that_do_not_fit_are_wrong_usage(
    run: Run, database_url: str, words: tuple[object, ...]
) -> None:
    ended = run(*MAKE, *words, **settings(database_url))
    assert (ended.code, ended.out) == (2, "")
    assert "s3cret" not in ended.err
