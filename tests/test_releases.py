"""What an earlier release wrote is opened, proved and gone on with."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from projections.compare import compare
from projections.definitions import definitions
from service.process.database import prepare
from tests.databases import database_named, name_of
from tests.releases.loading import FIRST, Release, load
from tests.running import (
    Service,
    client,
    colloquy,
    eventually,
    fetch_value,
    service_process,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # many commands, a process each
]

WEATHER = "/api/v1/courses/1/ai_experiences/4/conversations"
MOON = "/api/v1/courses/1/ai_experiences/1/conversations"
POISONED = 205
"""A learner of whose answers the provider told 7.5, -5 and 2^63 tokens, and a 5 for the reason."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    server_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Release]:
    """The release's database, made ready by this program as every start does; for copies."""
    name = f"test_{uuid4().hex}"
    await fetch_value(server_url, f"CREATE DATABASE {name}")
    url = database_named(server_url, name)
    release = await load(FIRST, url, tmp_path_factory.mktemp("release"))
    before = await _log(url)
    await prepare(url)
    assert await _log(url) == before, "not a byte of what there is was changed"
    yield release
    await fetch_value(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest_asyncio.fixture(loop_scope="module")
async def release(opened: Release, server_url: str, tmp_path: Path) -> AsyncIterator[Release]:
    name, template = f"test_{uuid4().hex}", name_of(opened.url)
    await fetch_value(server_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    home = Path(shutil.copytree(opened.home, tmp_path / "home"))
    yield Release(database_named(server_url, name), home, opened.tokens)
    await fetch_value(server_url, f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def upgraded(release: Release) -> AsyncIterator[Service]:
    """This program's service on the release's database."""
    async with (
        service_process(_environment(release)) as process,
        client(process.url, release.tokens, release.url) as service,
    ):
        yield service


def _environment(release: Release) -> dict[str, str]:
    return {
        "DATABASE_URL": release.url,
        "COLLOQUY_HOME": str(release.home),
        "COLLOQUY_LOG_NAME": "release-log",
        "COLLOQUY_SEAL_SECONDS": "0.2",
    }


async def _log(url: str) -> Any:
    statement = (
        "SELECT md5(string_agg(e::text || coalesce(c::text, ''), '' "
        "ORDER BY e.account_id, e.position)) FROM events e "
        "LEFT JOIN event_content c USING (account_id, position)"
    )
    return await fetch_value(url, statement)


async def run(release: Release, *arguments: str) -> str:
    """What a command that must succeed prints."""
    code, out, err = await colloquy(_environment(release), *arguments)
    assert code == 0, (arguments, out, err)
    assert "Traceback" not in err
    return out


async def verify(release: Release) -> None:
    for account in ("1", "2"):
        await run(release, "audit", "verify", "--account", account)


async def sealed(release: Release) -> None:
    """Waits until a checkpoint covers all that there is."""
    open_events = (
        "SELECT count(*) FROM log_heads h WHERE h.position > coalesce("
        "(SELECT max(t.size) FROM tree_heads t WHERE t.account_id = h.account_id), 0)"
    )

    async def all_covered() -> bool:
        return bool(await fetch_value(release.url, open_events) == 0)

    await eventually(all_covered)


async def assert_views(release: Release) -> None:
    """Every view equals one that is built anew, and nobody who follows is stopped."""
    for definition in definitions().values():
        comparison = await compare(release.url, definition)
        assert comparison.equal, list(comparison.lines())
    status = await run(release, "projections", "status", "--json")
    rows = [json.loads(line) for line in status.splitlines()]
    assert {row["name"] for row in rows} == set(definitions())
    assert [row for row in rows if row["error"]] == []


async def caught_up(service: Service) -> None:
    behind = "SELECT count(*) FROM analytics.freshness WHERE lag_events > 0 AND last_error IS NULL"

    async def nobody_behind() -> bool:
        return bool(await fetch_value(service.database_url, behind) == 0)

    await eventually(nobody_behind)


async def test_its_log_is_verified_after_the_upgrade(release: Release) -> None:
    await verify(release)


async def test_each_view_equals_one_built_anew(release: Release) -> None:
    await assert_views(release)
    await run(release, "projections", "rebuild", "--all")
    await run(release, "projections", "diff", "turn_facts")
    await assert_views(release)


async def test_learners_go_on_where_they_were(release: Release) -> None:
    async with upgraded(release) as service:
        for user in (201, 202, 205, 206, 301):
            await go_on(service, user)
        await sealed(release)
        await caught_up(service)
        await verify(release)
        await assert_views(release)


async def go_on(service: Service, user: int) -> None:
    """A learner reads their conversation, or opens one, and says something, twice."""
    base = MOON if user == 301 else WEATHER
    status, before = await service.call("GET", base, user=user)
    assert status == 200, before
    if before == {}:
        status, before = await service.call("POST", base, user=user)
        assert status == 201, before
    for text in ("And sleet?", "And dew?"):
        status, after = await service.call(
            "POST", f"{base}/{before['id']}/messages", user=user, json={"message": text}
        )
        assert status == 200, after
        assert after["messages"][:-2] == before["messages"]
        status, before = await service.call("GET", f"{base}/{before['id']}", user=user)
        assert (status, before["messages"]) == (200, after["messages"])


async def test_a_request_that_is_made_again_gets_the_answer_of_that_time(release: Release) -> None:
    """By its key, after an upgrade."""
    said = "SELECT content FROM event_content WHERE account_id = 1 AND position = 10"
    message = await fetch_value(release.url, said)
    async with upgraded(release) as service:
        head = await service.head()
        status, opening = await service.call(
            "POST", WEATHER, user=201, headers={"Idempotency-Key": "open-201"}
        )
        assert (status, opening["id"], len(opening["messages"])) == (201, 1, 2)
        status, reply = await service.call(
            "POST",
            f"{WEATHER}/1/messages",
            user=201,
            json={"message": message},
            headers={"Idempotency-Key": "say-1"},
        )
        assert (status, reply["id"], len(reply["messages"])) == (200, 1, 4)
        assert reply["messages"][2]["text"] == message
        assert await service.head() == head, "nothing was asked again"


async def test_who_was_told_nonsense_of_is_audited_and_exported(
    release: Release, tmp_path: Path
) -> None:
    await run(release, "audit", "events", "--conversation", "7", "--json")
    await run(release, "log", "show", "--conversation", "7")
    await run(release, "learner", "record", str(POISONED), "--json")
    await look_into(release, tmp_path / "found")


async def test_who_was_told_nonsense_of_is_erased(release: Release, tmp_path: Path) -> None:
    out = await run(release, "learner", "erase", str(POISONED), "--reason", "asked", "--yes")
    assert "7 texts of 1 conversation," in out
    async with upgraded(release) as service:
        await sealed(release)
        await caught_up(service)
        assert (await service.call("GET", WEATHER, user=POISONED))[0] == 401, "no way in is left"
    await look_into(release, tmp_path / "found")
    await verify(release)


async def look_into(release: Release, folder: Path) -> None:
    """What an auditor and an analyst can do with the poisoned conversation."""
    folder.mkdir()
    assert "Tokens" in await run(release, "audit", "replay", "7")
    bundle = folder / "bundle"
    await run(release, "audit", "export", "--user", str(POISONED), "--out", str(bundle))
    await check_bundle(release, bundle)
    await run(release, "analytics", "export", "--all", "--out", str(folder / "tables"))
    iri = "https://colloquy.test"
    records = await run(release, "analytics", "statements", "--format", "xapi", "--iri", iri)
    assert len(records.splitlines()) > 5


async def check_bundle(release: Release, bundle: Path) -> None:
    """By the program in the bundle, which needs nothing of this one."""
    key = await run(release, "seal", "key")
    (bundle.parent / "vkeys").write_text(key, "utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", str(bundle / "verify_bundle.py"), str(bundle)),
        *("--vkey", str(bundle.parent / "vkeys")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0, told.decode()


async def test_a_doctor_finds_nothing_wrong(release: Release) -> None:
    _, out, _ = await colloquy(_environment(release), "doctor")
    wrong = [line for line in out.splitlines() if "WRONG" in line]
    # The server of the tests forgets on purpose; nothing else is wrong.
    assert len(wrong) == 1
    assert "fsync is off" in wrong[0]
