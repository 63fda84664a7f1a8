"""Every command: most in this process through `main`, a few as processes."""

import socket
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from eventstore.connection_urls import split_password
from eventstore.connections import connect
from eventstore.log import PAGE
from eventstore.running_log import running_log
from projections.definitions import definitions
from service.cli import COMMANDS
from service.cli.context import printable
from service.identity.tokens import digest
from sql.loader import migrations
from tests.eventstore.building import append, edits
from tests.fake_anthropic import FakeAnthropic
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    colloquy,
    demo_tokens,
    fetch_value,
    running_service,
    service_process,
)
from tests.service.cli.command_runs import (
    EXPERIENCE,
    HEAD,
    Ended,
    Run,
    all_commands,
    ask,
    file_with,
    now,
    refused,
)

PASSWORD = "s3cret-of-the-owner"


@pytest.mark.parametrize(
    "path", [words for words, _ in all_commands()], ids=lambda path: " ".join(path) or "all"
)
def test_every_command_explains_itself(path: tuple[str, ...], run: Run) -> None:
    ended = run(*path, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(" ".join(["Usage: colloquy", *path, "["]))
    assert len(ended.out.split("\n\n")[1].strip()) > 10, "no description"
    assert run(*path, "-h").out == ended.out


def test_the_list_of_commands_says_of_each_what_it_says_itself() -> None:
    for words, command in all_commands():
        if len(words) == 1:
            assert COMMANDS[words[0]][1] == command.get_short_help_str(100)


def test_an_unknown_command_or_option_is_a_usage_error(run: Run) -> None:
    for words in (["dance"], ["token", "dance"], ["migrate", "--dance"], ["log", "show", "-x"]):
        ended = run(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("Usage: colloquy ")


async def test_a_token_from_the_command_line_opens_the_service(demo_url: str) -> None:
    """A process prints only the token."""
    async with running_service(demo_url) as service:
        code, out, err = await colloquy(
            {"DATABASE_URL": demo_url}, "token", "create", "--user", str(LEARNER)
        )
        assert (code, err) == (0, "")
        token = out.removesuffix("\n")
        assert token == token.strip()
        headers = {"Authorization": f"Bearer {token}"}
        assert await service.call("GET", CONVERSATIONS, user=None, headers=headers) == (200, {})


def test_token_create_stores_scopes_and_expiry(
    on_database: Run, ada: int, database_url: str
) -> None:
    scope = "url:GET|/api/v1/courses/:course_id/ai_experiences"
    ended = on_database(
        *("token", "create", "--user", ada, "--days", 7),
        *("--scope", scope, "--scope", "colloquy:audit"),
    )
    assert ended.code == 0
    stored = "SELECT scopes FROM tokens WHERE token_hash = $1"
    assert ask(database_url, stored, digest(ended.out.strip())) == [scope, "colloquy:audit"]
    assert ask(database_url, "SELECT (expires_at - created_at)::text FROM tokens") == "7 days"


def test_token_create_for_an_unknown_user_is_refused_in_one_line(
    on_database: Run, ada: int, database_url: str
) -> None:
    told = refused(on_database("token", "create", "--user", 6))
    assert told == "user 6 is not in the roster: import them first"
    assert ask(database_url, "SELECT count(*) FROM tokens") == 0


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--user", "0"],
        ["--user", "Ada"],
        ["--user", "5", "--days", "0"],
        ["--user", "5", "--scope", "everything"],
        ["--user", "5", "--scope", "url:get|/x"],
        ["--user", "5", "--scope", "url:GET|/x y"],
    ],
)
def test_token_create_with_wrong_words_is_a_usage_error(words: list[str], on_database: Run) -> None:
    ended = on_database("token", "create", *words)
    assert (ended.code, ended.out) == (2, "")


def test_tokens_are_listed_without_what_they_are(on_database: Run, ada: int) -> None:
    token = on_database("token", "create", "--user", ada).out.strip()
    on_database("token", "create", "--user", ada, "--days", 1, "--scope", "colloquy:audit")
    ended = on_database("token", "list")
    first, second = ended.out.splitlines()
    assert "active" in first
    assert "user 5 (Ada)" in first
    assert first.endswith("expires never  scopes: all")
    assert second.endswith("scopes: colloquy:audit")
    listed = on_database("token", "list", "--json")
    assert [line["scopes"] for line in listed.json] == [[], ["colloquy:audit"]]
    assert set(listed.json[0]) == {
        *("token_id", "user_id", "name", "scopes", "created_at", "expires_at", "state")
    }
    assert token.removeprefix("colloquy_") not in ended.out + listed.out


def test_a_token_is_revoked_once(on_database: Run, ada: int) -> None:
    on_database("token", "create", "--user", ada)
    ended = on_database("token", "revoke", 1)
    assert (ended.code, ended.out) == (0, "token 1 is revoked\n")
    assert [line["state"] for line in on_database("token", "list", "--json").json] == ["revoked"]
    for number in (1, 2):
        assert refused(on_database("token", "revoke", number)) == (
            f"there is no working token {number}"
        )


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_a_roster_is_imported(
    mark: str, on_database: Run, database_url: str, tmp_path: Path
) -> None:
    """Spreadsheets write a byte order mark and carriage returns."""
    text = f"{mark}{HEAD}\r\n1,5,Ada,student,active\r\n2,6,Zoë,teacher,active\r\n"
    ended = on_database("roster", "import", file_with(tmp_path, text))
    assert (ended.code, ended.out) == (0, "imported 2 enrollments in 2 courses\n")
    assert ask(database_url, "SELECT role FROM enrollments WHERE user_id = 5") == "learner"
    assert ask(database_url, "SELECT name FROM users WHERE user_id = 6") == "Zoë"


def test_bad_rows_of_a_roster_name_their_lines_and_nothing_is_imported(
    on_database: Run, database_url: str, tmp_path: Path
) -> None:
    rows = ["1,5,Ada,learner,active", "x,6,Bo,learner,active", "1,7,Cy,king,active"]
    ended = on_database("roster", "import", file_with(tmp_path, "\n".join([HEAD, *rows])))
    assert (ended.code, ended.out) == (1, "")
    first, *bad = ended.err.splitlines()
    assert first == "colloquy: nothing is imported"
    assert [line.partition(":")[0] for line in bad] == ["line 3", "line 4"]
    assert ask(database_url, "SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", HEAD.encode() + b",email\n"])
def test_a_roster_with_wrong_columns_is_refused(
    content: bytes, on_database: Run, tmp_path: Path
) -> None:
    file = tmp_path / "roster"
    file.write_bytes(content)
    assert f"the columns must be {HEAD}" in refused(on_database("roster", "import", file))


def test_a_roster_that_is_not_utf_8_is_refused(on_database: Run, tmp_path: Path) -> None:
    file = tmp_path / "roster"
    file.write_bytes(HEAD.encode() + b"\n1,5,Zo\xeb,learner,active\n")
    ended = on_database("roster", "import", file)
    assert ended.code == 1
    assert "the file is not UTF-8" in ended.err


@pytest.mark.parametrize("command", [["roster", "import"], ["experience", "import", "--course", 1]])
def test_a_file_that_is_not_there_is_a_usage_error(
    command: list[object], on_database: Run, tmp_path: Path
) -> None:
    for place in (tmp_path / "missing", tmp_path):
        assert on_database(*command, place).code == 2


def test_experiences_are_imported_one_or_several(
    on_database: Run, ada: int, database_url: str, tmp_path: Path
) -> None:
    """Their ids are printed; a byte order mark of an editor is accepted."""
    published = EXPERIENCE | {"workflow_state": "published", "facts": "The Moon"}
    for mark, content, printed in (
        ("", EXPERIENCE, "1\n"),
        ("\ufeff", [EXPERIENCE, published], "2\n3\n"),
    ):
        file = file_with(tmp_path, mark + msgspec.json.encode(content).decode())
        ended = on_database("experience", "import", "--course", 1, file)
        assert (ended.code, ended.out) == (0, printed)
    states = "SELECT array_agg(workflow_state ORDER BY experience_id) FROM read.experiences"
    assert ask(database_url, states) == ["unpublished", "unpublished", "published"]
    line = on_database("log", "show", "--stream", "experience-3", "--json").json[0]
    assert line["actor"] == {"id": None, "role": "system"}
    assert line["data"]["facts"] == "The Moon"


def test_an_experience_that_is_wrong_is_refused_and_none_is_imported(
    on_database: Run, ada: int, database_url: str, tmp_path: Path
) -> None:
    for content, reason in (
        ("", "Input data was truncated"),
        ("{", "Input data was truncated"),
        ("rubbish", "JSON is malformed"),
        ("[" * 100_000, "Expected object, got array"),
        ('{"facts":' * 100_000, "Expected str, got object"),
        (b'{"title": "Zo\xe9"}', "the file is not UTF-8"),
        ("1", "Expected object | array, got int"),
        ("{}", "Object missing required field title"),
        (EXPERIENCE | {"title": " "}, "experience 1: title is required"),
        (EXPERIENCE | {"title": "x" * 256}, "experience 1: title must be 255 characters or fewer"),
        (EXPERIENCE | {"learning_objective": "\n"}, "learning_objective is required"),
        (EXPERIENCE | {"pedagogical_guidance": "\u200b\u3164"}, "guidance is required"),
        (EXPERIENCE | {"workflow_state": "secret"}, "Invalid enum value 'secret'"),
        (EXPERIENCE | {"id": 7}, "Object contains unknown field id"),
        (EXPERIENCE | {"facts": "a\0b"}, "facts must not contain the NUL character"),
        ([EXPERIENCE, EXPERIENCE | {"title": "\u2800"}], "experience 2: title is required"),
        ([EXPERIENCE, EXPERIENCE | {"facts": 1}], "Expected str, got int - at $[1].facts"),
    ):
        file = tmp_path / "file"
        text = content.encode() if isinstance(content, str) else content
        file.write_bytes(text if isinstance(text, bytes) else msgspec.json.encode(text))
        told = refused(on_database("experience", "import", "--course", 1, file))
        assert told.startswith(f"{file}: ")
        assert reason in told
    assert ask(database_url, "SELECT position FROM log_heads") == 0


def test_an_experience_needs_a_course(on_database: Run, ada: int, tmp_path: Path) -> None:
    file = file_with(tmp_path, msgspec.json.encode(EXPERIENCE).decode())
    told = refused(on_database("experience", "import", "--course", 2, file))
    assert told == "there is no course 2: import its roster first"
    assert on_database("experience", "import", file).code == 2


@pytest.fixture
async def talked(demo_url: str) -> tuple[int, int]:
    """Two learners have talked; gives the first's conversation and the head of the log."""
    async with running_service(demo_url) as service:
        first = (await service.open(101))["id"]
        await service.say(first, "It is\nthe Moon 🌊", 101)
        await service.open(102)
        return first, await service.head()


def test_the_whole_log_is_shown(on_database: Run, talked: tuple[int, int]) -> None:
    """As JSON with exactly these fields, and texts in full."""
    lines = on_database("log", "show", "--json").json
    assert [line["position"] for line in lines] == list(range(1, talked[1] + 1))
    for line in lines:
        assert list(line) == [
            *("position", "recorded_at", "stream", "revision", "type"),
            *("conversation_id", "actor", "data", "content"),
        ]
        assert set(line["actor"]) == {"id", "role"}
        assert line["type"].endswith(".v1")
        assert datetime.fromisoformat(line["recorded_at"]).utcoffset() is not None
        assert "type" not in line["data"]
    (posted,) = [line for line in lines if line["type"] == "message_posted.v1"]
    assert posted["content"] == "It is\nthe Moon 🌊"
    assert posted["stream"] == "dialogue-1-101"
    assert posted["conversation_id"] == posted["data"]["conversation_id"] == talked[0]
    assert posted["actor"] == {"id": 101, "role": "learner"}


def test_the_log_is_shown_by_conversation_stream_or_position(
    on_database: Run, talked: tuple[int, int]
) -> None:
    conversation, head = talked
    everything = on_database("log", "show", "--json").json
    of_conversation = on_database("log", "show", "--json", "--conversation", conversation).json
    assert of_conversation == [e for e in everything if e["conversation_id"] == conversation] != []
    of_stream = on_database("log", "show", "--json", "--stream", "dialogue-1-102").json
    assert of_stream == [e for e in everything if e["stream"] == "dialogue-1-102"] != []
    assert on_database("log", "show", "--json", "--after", head - 2).json[:2] == everything[-2:]
    for nothing in (["--conversation", 999], ["--stream", "nonsense"], ["--after", head + 100]):
        ended = on_database("log", "show", *nothing)
        assert (ended.code, ended.out) == (0, "")


def test_the_log_is_shown_with_one_line_an_event(on_database: Run, talked: tuple[int, int]) -> None:
    lines = on_database("log", "show").out.splitlines()
    assert len(lines) == talked[1]
    (posted,) = [line for line in lines if "message_posted.v1" in line]
    assert posted.endswith("learner 101   It is the Moon 🌊")
    (replied,) = [line for line in lines if "reply_completed.v1" in line]
    assert "practice-tutor" in replied


def test_all_pages_of_a_long_log_are_shown(on_database: Run, database_url: str) -> None:
    async def fill() -> None:
        async with running_log(database_url) as (log, _pool, _notifier):
            await append(log, "experience-1", *edits(PAGE + 1))

    now(fill)
    lines = on_database("log", "show", "--json").json
    assert [line["position"] for line in lines] == list(range(1, PAGE + 2))
    lines = on_database("log", "show", "--json", "--after", 1).json
    assert [line["position"] for line in lines] == list(range(2, PAGE + 3))


def test_the_log_takes_one_filter(on_database: Run) -> None:
    ended = on_database("log", "show", "--after", 1, "--stream", "x")
    assert ended.code == 2
    assert "give one of --conversation, --stream and --after" in ended.err


def test_projections_tell_how_fresh_they_are(on_database: Run, talked: tuple[int, int]) -> None:
    rows = on_database("projections", "status", "--json").json
    assert [row["name"] for row in rows] == sorted(definitions())
    assert {row["head"] for row in rows} == {talked[1]}
    inline = [row for row in rows if row["mode"] == "inline"]
    assert {(row["position"], row["state"], row["error"]) for row in inline} == {
        (talked[1], "live", None)
    }
    lines = on_database("projections", "status").out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(definitions())
    assert sum("fresh" in line for line in lines) >= len(inline)


def test_projections_are_rebuilt_one_or_all(
    on_database: Run, talked: tuple[int, int], database_url: str
) -> None:
    """To the same rows."""
    rows = "SELECT json_agg(m ORDER BY position, ordinal)::text FROM read.conversation_messages m"
    before = ask(database_url, rows)
    ended = on_database("projections", "rebuild", "conversation_messages")
    assert ended.code == 0
    assert ended.out.startswith(f"conversation_messages: {talked[1]} events")
    assert ask(database_url, rows) == before
    ended = on_database("projections", "rebuild", "--all", "--jobs", 2)
    assert ended.code == 0
    assert ask(database_url, rows) == before
    generations = {
        row["name"]: row["generation"]
        for row in on_database("projections", "status", "--json").json
    }
    assert generations == {
        name: 3 if name == "conversation_messages" else 2 for name in definitions()
    }


def test_a_projection_that_there_is_not_is_refused(on_database: Run) -> None:
    told = refused(on_database("projections", "rebuild", "nonsense"))
    assert told.startswith("there is no projection nonsense; there are active_conversations, ")
    for words in ([], ["conversations", "--all"], ["--all", "--jobs", 0]):
        assert on_database("projections", "rebuild", *words).code == 2


def test_the_databases_url_is_printed(on_database: Run, database_url: str) -> None:
    ended = on_database("db", "url")
    assert (ended.code, ended.out) == (0, f"{database_url}\n")


def test_psql_runs_its_arguments(on_database: Run, talked: tuple[int, int]) -> None:
    """And its exit code is the command's."""
    ended = on_database("db", "psql", "-AtX", "-c", "SELECT position FROM log_heads")
    assert (ended.code, ended.out) == (0, f"{talked[1]}\n")
    ended = on_database("db", "psql", "-X", "-c", "SELECT nonsense")
    assert (ended.code, ended.out) == (1, "")
    assert 'column "nonsense" does not exist' in ended.err


@pytest.mark.parametrize("among_options", [False, True])
def test_psql_gets_the_password_where_no_other_user_sees_it(
    run: Run, database_url: str, *, among_options: bool
) -> None:
    """Every user can read a command line; here psql prints its own."""
    public, secret = split_password(database_url)
    assert secret is not None
    both = f"{public}{'&' if '?' in public else '?'}password={secret}"
    own = r"\! tr '\000' ' ' < /proc/$PPID/cmdline"
    asked = ("db", "psql", "-AtX", "-c", "SELECT 1", "-c", own)
    ended = run(*asked, DATABASE_URL=both if among_options else database_url)
    assert ended.out.startswith("1\n")
    assert "psql" in ended.out
    assert secret not in ended.out


def test_psql_is_not_started_where_it_would_show_a_passphrase(run: Run, database_url: str) -> None:
    mark = "&" if "?" in database_url else "?"
    ended = run("db", "psql", DATABASE_URL=f"{database_url}{mark}sslpassword=secret")
    assert (ended.code, ended.out) == (1, "")
    assert "sslpassword" in ended.err
    assert "secret" not in ended.err


def test_what_others_wrote_cannot_command_the_auditors_terminal() -> None:
    assert printable("a\x1b[2J b\r\nc\u202ed") == r"a\x1b[2J b c\u202ed"


def test_migrating_twice_does_nothing_the_second_time(run: Run, empty_database_url: str) -> None:
    ended = run("migrate", DATABASE_URL=empty_database_url)
    assert ended.code == 0
    done = ended.out.splitlines()
    assert done[: len(migrations())] == [m.name for m in migrations()]
    assert sorted(done[len(migrations()) :]) == sorted(definitions())
    assert run("migrate", DATABASE_URL=empty_database_url) == Ended(0, "up to date\n", "")


@pytest.mark.parametrize(
    "command",
    [["token", "list"], ["log", "show"], ["projections", "status"]],
    ids=lambda words: " ".join(words),
)
def test_a_database_without_our_schema_is_left_alone(
    command: list[str], run: Run, empty_database_url: str
) -> None:
    told = refused(run(*command, DATABASE_URL=empty_database_url))
    assert "run `colloquy migrate`" in told
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert ask(empty_database_url, tables) == 0


@pytest.mark.parametrize(
    "command",
    [
        *(["migrate"], ["token", "list"], ["token", "create", "--user", "1"], ["log", "show"]),
        *(["projections", "status"], ["projections", "rebuild", "--all"], ["serve", "--port", "0"]),
    ],
    ids=lambda words: " ".join(words),
)
def test_an_unreachable_database_is_one_line_without_the_password(
    command: list[str], run: Run
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))  # taken and not listening
        port = probe.getsockname()[1]
        url = f"postgresql://owner:{PASSWORD}@127.0.0.1:{port}/colloquy"
        told = refused(run(*command, DATABASE_URL=url))
    assert told.startswith(f"cannot use the database at 127.0.0.1:{port}/colloquy: ")
    assert PASSWORD not in told


def test_a_wrong_password_is_one_line_without_the_password(run: Run, database_url: str) -> None:
    credentials = database_url.split("//")[1].split("@")[0]
    url = database_url.replace(credentials, f"colloquy:{PASSWORD}")
    told = refused(run("token", "list", DATABASE_URL=url))
    assert "password authentication failed" in told
    assert PASSWORD not in told


@pytest.mark.parametrize(
    "url",
    [
        "rubbish",
        f"mysql://owner:{PASSWORD}@127.0.0.1/x",
        f"postgresql://owner:{PASSWORD}@127.0.0.1:port/x",
        f"postgresql://owner:{PASSWORD}@127.0.0.1:99999/x",
        f"postgresql://owner:{PASSWORD}@[::1/x",
        f"postgresql://owner:{PASSWORD}/and/slashes@127.0.0.1/x",
        f"postgresql://owner:{PASSWORD}#and-a-hash@127.0.0.1/x",
        f"postgresql://127.0.0.1:1/x?user=a@b&password={PASSWORD}",
        f"postgresql://owner:{PASSWORD}@127.0.0.1:1,127.0.0.1:2/x",
    ],
)
def test_a_wrong_url_is_one_line_without_the_password(url: str, run: Run) -> None:
    told = refused(run("token", "list", DATABASE_URL=url))
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "command",
    [*(["migrate"], ["token", "list"], ["doctor"], ["db", "url"], ["serve", "--port", "0"])],
    ids=lambda words: " ".join(words),
)
def test_a_wrong_setting_is_named(command: list[str], run: Run) -> None:
    told = refused(run(*command, COLLOQUY_REPLY_TIMEOUT="soon", DATABASE_URL="postgresql://x/y"))
    assert told.startswith("COLLOQUY_REPLY_TIMEOUT: 'soon' is not allowed: ")


def test_a_setting_that_cannot_work_stops_the_start_before_anything_is_done(run: Run) -> None:
    """Even if the database would not answer."""
    for variable, value, reason in (
        ("COLLOQUY_PRICES", "/nowhere.toml", "/nowhere.toml: No such file or directory"),
        ("COLLOQUY_JWT", "/", "/ is a folder"),
        ("COLLOQUY_SEAL_KEY", "/nowhere", "/nowhere: No such file or directory"),
        ("COLLOQUY_PROJECTIONS", "/dev/null", "/dev/null is no folder"),
        ("COLLOQUY_CHECKPOINTS", "/dev/null", "/dev/null is no folder"),
        ("COLLOQUY_CORS_ORIGINS", "*", "'*' is not allowed: '*' must be a site as browsers name"),
        ("COLLOQUY_MODEL", "a\nb", "'a\\nb' is not allowed: it has a line feed"),
        ("ANTHROPIC_BASE_URL", "rubbish", "its value is not allowed: it must be the URL of a"),
        ("COLLOQUY_HOST", "é..x", "cannot listen on é..x:0: it is not a host"),
        ("COLLOQUY_HOST", "a b", "cannot listen on a b:0: it is not a host"),
        ("COLLOQUY_HOST", "[::1]", "cannot listen on [::1]:0: it is not a host"),
        ("COLLOQUY_HOST", "x" * 64, f"cannot listen on {'x' * 64}:0: "),
    ):
        settings = {"DATABASE_URL": "postgresql://127.0.0.1:1/x", variable: value}
        told = refused(run("serve", "--port", "0", **settings))
        named = reason if variable == "COLLOQUY_HOST" else f"{variable}: {reason}"
        assert told.startswith(named)


def test_the_doctor_finds_everything_in_order(run: Run, durable_url: str) -> None:
    ended = run("doctor", DATABASE_URL=durable_url)
    assert (ended.code, ended.err) == (0, "")
    assert {line.split()[0] for line in ended.out.splitlines()} == {"ok"}
    assert "database: DATABASE_URL, PostgreSQL " in ended.out
    assert "schema: up to date" in ended.out
    assert "server: its settings keep acknowledged events" in ended.out
    assert "model: practice-tutor" in ended.out


def test_the_doctor_finds_faults(run: Run, durable_url: str) -> None:
    """An unreachable model, an unreachable database, and a database without our schema."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"127.0.0.1:{probe.getsockname()[1]}"
        for settings, finding in (
            ({"DATABASE_URL": durable_url, "ANTHROPIC_BASE_URL": f"http://{nobody}"}, "model: "),
            ({"DATABASE_URL": f"postgresql://o:{PASSWORD}@{nobody}/x"}, "database: "),
        ):
            ended = run("doctor", **settings)
            assert (ended.code, ended.err) == (1, "colloquy: something needs attention\n")
            wrong = [line for line in ended.out.splitlines() if line.startswith("WRONG")]
            assert len(wrong) == 1
            assert wrong[0].startswith(f"WRONG  {finding}")
            assert PASSWORD not in ended.out


def test_the_doctor_misses_our_schema(run: Run, empty_database_url: str) -> None:
    ended = run("doctor", DATABASE_URL=empty_database_url)
    assert ended.code == 1
    assert "WRONG  database: " in ended.out
    assert "run `colloquy migrate`" in ended.out


async def test_the_doctor_reaches_the_models_address(durable_url: str) -> None:
    async with FakeAnthropic() as fake:
        environment = {"DATABASE_URL": durable_url, "ANTHROPIC_BASE_URL": fake.url}
        code, out, _ = await colloquy(environment, "doctor")
        assert code == 0, out
        assert f"{fake.url.removeprefix('http://')} is reachable" in out
        assert fake.requests == []


async def test_serving_a_database_of_a_newer_version_is_refused_in_one_line(
    database_url: str,
) -> None:
    connection = await connect(database_url)
    try:
        await connection.execute(
            "INSERT INTO schema_migrations (number, name, digest)"
            " VALUES (9999, '9999_from_the_future', '')"
        )
    finally:
        await connection.close()
    for command in (["serve", "--port", "0"], ["serve", "--port", "0", "--workers", "2"]):
        told = refused(Ended(*await colloquy({"DATABASE_URL": database_url}, *command)))
        assert told.startswith("the database has migration 9999_from_the_future, which this ")


async def test_a_start_beside_an_earlier_release_is_refused_in_one_line(
    database_url: str,
) -> None:
    """Which could not read what this one records; `migrate` would also change its views."""
    earlier = await connect(database_url)
    await earlier.execute("SELECT pg_advisory_lock(281474976710655)")
    try:
        for command in (["serve", "--port", "0"], ["migrate"]):
            told = refused(Ended(*await colloquy({"DATABASE_URL": database_url}, *command)))
            assert told.startswith("a process of an earlier release uses this database (session ")
    finally:
        await earlier.close()


async def test_serve_prepares_an_empty_database_and_greets_with_the_demo(
    empty_database_url: str, tmp_path: Path
) -> None:
    """And the tokens that it shows are those of the file."""
    environment = {"DATABASE_URL": empty_database_url, "COLLOQUY_HOME": str(tmp_path)}
    async with service_process(environment, "--demo") as process:
        tokens = msgspec.json.decode((tmp_path / "demo-tokens.json").read_bytes())
        assert await process.stop() == 0
    assert await fetch_value(empty_database_url, "SELECT count(*) FROM read.experiences") == 3
    assert await demo_tokens(empty_database_url) != tokens
