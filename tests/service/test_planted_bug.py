"""The second wall between institutions: a service whose every query forgets the account."""

import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore.connections import Connection
from service.identity.accounts import create_account
from service.identity.roster import Enrollment, Role, import_roster
from service.identity.tokens import create_token
from sql import loader
from tests.running import (
    API,
    CONVERSATIONS,
    LEARNER,
    TEACHER,
    Service,
    messages_of,
    running_service,
)

OF_THE_ACCOUNT = re.compile(r"(\w+\.)?account_id = \$1\b")
GUARDED = """
SELECT c.oid::regclass::text FROM pg_class c
 WHERE c.relrowsecurity AND c.relkind IN ('r', 'p')
"""


@pytest.fixture
async def members(owner: Connection) -> dict[int, dict[str, str]]:
    """The headers of a learner and a teacher of a second institution."""
    account = await create_account(owner, "Another institution")
    roles: tuple[tuple[int, Role], ...] = ((LEARNER, "learner"), (TEACHER, "teacher"))
    rows = [
        Enrollment(course_id=1, user_id=user, name="X", role=role, status="active")
        for user, role in roles
    ]
    await import_roster(owner, account, rows)
    return {
        user: {"Authorization": f"Bearer {await create_token(owner, account, user)}"}
        for user, _ in roles
    }


@pytest.fixture
def forgetful_queries(
    members: dict[int, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Every query that the service reads names no account any more."""
    shutil.copytree(Path(str(loader._ROOT)), tmp_path / "sql")
    planted = 0
    for file in (tmp_path / "sql" / "queries").glob("*/*.sql"):
        if file.stem == "create_token":  # the owner's, whom nothing holds back
            continue
        text, number = OF_THE_ACCOUNT.subn("$1::bigint IS NOT NULL", file.read_text("utf-8"))
        file.write_text(text, "utf-8")
        planted += number
    assert planted > 30
    monkeypatch.setattr(loader, "_ROOT", tmp_path / "sql")
    loader.query.cache_clear()
    yield
    loader.query.cache_clear()


@pytest.fixture
async def service(demo_url: str, forgetful_queries: None) -> AsyncIterator[Service]:
    async with running_service(demo_url, seal_seconds=0) as running:
        yield running


@pytest.fixture
async def other(service: Service, members: dict[int, dict[str, str]]) -> dict[int, dict[str, str]]:
    """The same, with an experience of theirs."""
    draft = {"title": "T", "learning_objective": "O", "pedagogical_guidance": "G"}
    status, _ = await service.call(
        "POST",
        "/api/v1/courses/1/ai_experiences",
        user=None,
        headers=members[TEACHER],
        json={**draft, "workflow_state": "published"},
    )
    assert status == 201
    return members


async def what_leaks(service: Service, headers: dict[int, dict[str, str]], marker: str) -> set[str]:
    """What of the first institution's conversation the second one gets to see."""
    conversation = await service.open(LEARNER)
    number = conversation["id"]
    status, _ = await service.call("POST", messages_of(number), json={"message": marker})
    assert status == 200
    students = f"{API}/ai_conversations"
    asked: list[tuple[str, str, int, Any]] = [
        ("GET", CONVERSATIONS, LEARNER, None),
        ("GET", f"{CONVERSATIONS}/{number}", LEARNER, None),
        ("GET", f"{CONVERSATIONS}/{number}", TEACHER, None),
        ("GET", students, TEACHER, None),
        ("GET", f"{students}/{number}", TEACHER, None),
        ("POST", messages_of(number), LEARNER, {"message": "Hello"}),
        ("DELETE", f"{CONVERSATIONS}/{number}", LEARNER, None),
    ]
    leaking = set()
    for method, path, user, body in asked:
        status, answer = await service.call(
            method, path, user=None, headers=headers[user], json=body
        )
        assert status in (200, 403, 404, 503), answer
        if marker in str(answer) or str(conversation["messages"][1]["text"]) in str(answer):
            leaking.add(f"{method} {path}")
    return leaking


async def test_the_database_holds_back_what_no_query_does(
    service: Service, other: dict[int, dict[str, str]]
) -> None:
    assert await what_leaks(service, other, "marker of the first institution") == set()


async def test_without_the_wall_the_planted_bug_does_leak(
    service: Service, other: dict[int, dict[str, str]], owner: Connection
) -> None:
    for row in await owner.fetch(GUARDED):
        await owner.execute(f"ALTER TABLE {row[0]} DISABLE ROW LEVEL SECURITY")
    assert len(await what_leaks(service, other, "marker of the first institution")) >= 3
