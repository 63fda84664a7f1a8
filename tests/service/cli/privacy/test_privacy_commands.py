"""The commands for data protection: erasure, legal holds, retention."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from eventstore.connections import Connection
from service.json_values import read_id
from service.privacy.learner_record import LearnerRecord
from service.timing import Timing
from tests.running import CONVERSATIONS, LEARNER, Service, colloquy, running_service
from tests.service.privacy.erasing import MARKER, tables_with, talk


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    """One that carries out no rule of retention by itself, however long a test takes."""
    timing = Timing(assessment=60.0, first_retention=3600.0)
    async with running_service(demo_url, timing) as running:
        yield running


async def command(service: Service, *words: object) -> tuple[int, str, str]:
    environment = {"DATABASE_URL": service.database_url}
    return await colloquy(environment, *map(str, words))


async def test_erase_shows_what_goes_and_says_what_went(
    service: Service, owner: Connection
) -> None:
    await talk(service, LEARNER, f"It is {MARKER}")
    why = ("--reason", "letter of 3 May")
    code, out, err = await command(service, "learner", "erase", LEARNER, *why)
    assert (code, out) == (1, "")
    assert f"user {LEARNER} (" in err
    assert "3 texts, 1 conversation," in err
    assert "Go on? [y/N]" in err
    assert "event_content" in await tables_with(owner, MARKER), "nobody said yes"
    code, out, _ = await command(service, "learner", "erase", LEARNER, *why, "--yes")
    assert (code, out) == (
        0,
        f"user {LEARNER} is erased: 3 texts of 1 conversation, 1 name and 0 identities are "
        "deleted, 1 token revoked\n",
    )
    assert await tables_with(owner, MARKER) == []
    assert (await service.call("GET", CONVERSATIONS))[0] == 401
    code, _, err = await command(service, "learner", "erase", 4040, *why, "--yes")
    assert (code, err) == (1, "colloquy: there is no user 4040\n")


async def test_holds_by_command_refuse_an_erasure_by_command(service: Service) -> None:
    code, number, _ = await command(service, "hold", "place", LEARNER, "--reason", "case 12")
    assert (code, number) == (0, "1\n")
    erase = ("learner", "erase", LEARNER, "--reason", "asked", "--yes")
    code, out, err = await command(service, *erase)
    assert (code, out) == (1, "")
    assert err == (
        f"colloquy: user {LEARNER} is under legal hold 1: nothing of theirs may be deleted "
        "until it is released\n"
    )
    _, listed, _ = await command(service, "hold", "list")
    assert "stands" in listed
    assert "case 12" in listed
    released = await command(service, "hold", "release", 1, "--reason", "closed")
    assert released[:2] == (0, f"hold 1 on user {LEARNER} is released\n")
    _, listed, _ = await command(service, "hold", "list", "--json")
    assert msgspec.json.decode(listed)["release_reason"] == "closed"
    assert (await command(service, *erase))[0] == 0


async def test_a_reason_is_a_few_words(service: Service) -> None:
    wrong = [
        command(service, "hold", "place", LEARNER, *reason)
        for reason in ([], ["--reason", " "], ["--reason", "x" * 501])
    ]
    assert {code for code, *_ in await asyncio.gather(*wrong)} == {2}


async def test_retention_by_command_tells_first_and_deletes_then(
    service: Service, owner: Connection
) -> None:
    said = await talk(service, LEARNER, f"It is {MARKER}")
    assert (await service.call("DELETE", f"{CONVERSATIONS}/{said['id']}"))[0] == 200
    await owner.execute(
        "UPDATE read.conversations SET completed_at = completed_at - interval '40 days'"
    )
    rule = await command(service, "retention", "set", "--course", 1, 30)
    assert rule[:2] == (0, "course 1: texts are kept 30 days after completion\n")
    await command(service, "retention", "set", "--account-wide", "--keep")
    _, printed, _ = await command(service, "retention", "show")
    assert printed == "courses without a rule: texts are kept for ever\n" + rule[1]
    head = await service.head()
    _, told, _ = await command(service, "retention", "run", "--dry-run")
    assert told == (
        f"conversation {said['id']} of user {LEARNER}: 3 texts (course rule, 30 days)\n"
        "would be deleted: 3 texts of 1 conversation\n"
    )
    assert await service.head() == head
    _, done, _ = await command(service, "retention", "run")
    assert done == "deleted: 3 texts of 1 conversation\n"
    assert await tables_with(owner, MARKER) == []


@pytest.mark.parametrize(
    "words", [(), ("30",), ("--course", "1"), ("--course", "1", "--account-wide", "30"), ("0",)]
)
async def test_a_rule_needs_its_course_and_its_days(
    service: Service, words: tuple[str, ...]
) -> None:
    assert (await command(service, "retention", "set", *words))[0] == 2


async def test_a_record_is_shown_in_lines_as_json_and_as_a_page(
    service: Service, tmp_path: Path
) -> None:
    said = await talk(service, LEARNER, "Hello")
    _, told, _ = await command(service, "learner", "record", LEARNER)
    assert f"conversation {said['id']} (course 1, " in told
    assert "active, 1 message by the learner and 2 by the model, 0 evaluations, words kept" in told
    assert "nobody has read it before" in told
    _, out, _ = await command(service, "learner", "record", LEARNER, "--json")
    record = msgspec.json.Decoder(LearnerRecord, dec_hook=read_id).decode(out)
    assert [(read.role, read.reader_id) for read in record.reads] == [("operator", None)]
    file = tmp_path / "record.html"
    code, out, _ = await command(service, "learner", "record", LEARNER, "--html", file)
    assert (code, out) == (0, f"written to {file}\n")
    assert file.read_text("utf-8").startswith("<!doctype html>")
    nowhere = tmp_path / "no" / "record.html"
    code, _, err = await command(service, "learner", "record", LEARNER, "--html", nowhere)
    assert (code, err) == (1, f"colloquy: {nowhere}: No such file or directory\n")
    code, _, err = await command(service, "learner", "record", 4040)
    assert (code, err) == (1, "colloquy: there is no user 4040\n")
