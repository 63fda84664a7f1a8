"""The demo: created once and kept; only its owner can read the tokens."""

import stat
from pathlib import Path

import msgspec

from eventstore.connections import Connection
from service.identity.tokens import list_tokens, revoke_token
from service.process.demo import TOKENS_FILE, greeting, make_demo


async def test_the_demo_is_made_once_and_kept(
    owner: Connection, database_url: str, tmp_path: Path
) -> None:
    """Another start gives the same tokens and adds nothing to the log."""
    made = await make_demo(owner, database_url, tmp_path)
    head = await owner.fetchval("SELECT position FROM log_heads")
    assert await make_demo(owner, database_url, tmp_path) == made
    assert await owner.fetchval("SELECT position FROM log_heads") == head == 3
    assert len(await list_tokens(owner, 1)) == len(made)


async def test_the_demo_has_people_in_two_courses(
    owner: Connection, database_url: str, tmp_path: Path
) -> None:
    tokens = await make_demo(owner, database_url, tmp_path)
    rows = await owner.fetch("SELECT user_id, course_id, role FROM enrollments")
    roles = {row["user_id"]: (row["course_id"], row["role"]) for row in rows}
    assert roles[1] == (1, "teacher")
    assert {roles[n] for n in (101, 102, 103)} == {(1, "learner")}
    assert roles[201] == (2, "learner")
    assert set(tokens) == {str(user) for user in roles}
    assert len(set(tokens.values())) == len(tokens)
    scopes = {t.user_id: t.scopes for t in await list_tokens(owner, 1)}
    assert scopes[900] == ("colloquy:audit",)
    assert scopes[101] == ()
    states = await owner.fetch(
        "SELECT course_id, workflow_state FROM read.experiences ORDER BY experience_id"
    )
    assert [tuple(row) for row in states] == [
        *((1, "published"), (1, "unpublished"), (2, "published"))
    ]


async def test_the_tokens_file_is_for_its_owner_only(
    owner: Connection, database_url: str, tmp_path: Path
) -> None:
    tokens = await make_demo(owner, database_url, tmp_path)
    file = tmp_path / TOKENS_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert msgspec.json.decode(file.read_bytes()) == tokens
    assert [path.name for path in tmp_path.iterdir()] == [TOKENS_FILE]


async def test_a_token_that_no_longer_works_is_replaced_and_the_others_stay(
    owner: Connection, database_url: str, tmp_path: Path
) -> None:
    before = await make_demo(owner, database_url, tmp_path)
    ids = {t.user_id: t.token_id for t in await list_tokens(owner, 1)}
    assert await revoke_token(owner, 1, ids[101])
    after = await make_demo(owner, database_url, tmp_path)
    assert {user for user in before if before[user] != after[user]} == {"101"}


async def test_a_home_without_the_file_gets_new_tokens(
    owner: Connection, database_url: str, tmp_path: Path
) -> None:
    before = await make_demo(owner, database_url, tmp_path)
    (tmp_path / TOKENS_FILE).unlink()
    assert not set(before.values()) & set((await make_demo(owner, database_url, tmp_path)).values())


async def test_the_greeting_has_the_tokens_and_commands(
    owner: Connection, database_url: str, tmp_path: Path
) -> None:
    """Each user's token, and commands to paste."""
    tokens = await make_demo(owner, database_url, tmp_path)
    told = greeting(tokens, "http://127.0.0.1:8080", "practice-tutor")
    for user, token in tokens.items():
        assert any(user in line and token in line for line in told.splitlines())
    assert "The model is practice-tutor." in told
    address = "http://127.0.0.1:8080/api/v1/courses/1/ai_experiences/1/conversations"
    assert f"BASE={address}\n" in told
