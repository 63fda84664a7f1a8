"""Untrusted text in a command's output controls no terminal."""

import ast
import os
import pty
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from tests.eventstore.sealing.sealed import tamper
from tests.running import ROOT, environment_of
from tests.service.cli.command_runs import Ended, Run, now
from tests.service.cli.hostile import GENUINE, HOSTILE, USER, filled, hostile_files

WRITES = {
    "service/cli/terminal.py": {"stdout", "stderr", "stdin", "echo"},
    "service/cli/progress.py": {"stderr"},
    "service/cli/audit/event_commands.py": {"stdin", "stdout"},
    "service/cli/projections/status_commands.py": {"stdout"},
    "service/process/logging.py": {"stderr"},
    "service/analytics/learning_records/record_export.py": {"stdout"},
    "service/process/worker.py": {"print"},
    "service/audit/verify_bundle.py": {"stdout", "stderr"},
}
"""Modules that may reach standard streams: the terminal's own, those that ask what a stream is, the
log, records of JSON, a pipe to the parent, and the verifier that stands alone."""
STREAMS = {"stdout", "stderr", "stdin", "__stdout__", "__stderr__", "echo", "secho"}

SHOWING = [
    ("account", "list"),
    ("token", "list"),
    ("token", "list", "--json"),
    ("log", "show"),
    ("log", "show", "--json"),
    ("log", "show", "--stream", HOSTILE),
    ("log", "show", "--conversation", 1),
    ("audit", "events"),
    ("audit", "events", "--json"),
    ("audit", "replay", 1),
    ("audit", "replay", 1, "--json"),
    ("learner", "record", USER),
    ("learner", "record", USER, "--json"),
    ("learner", "erase", USER, "--reason", "letter", "--yes"),
    ("hold", "list"),
    ("hold", "list", "--json"),
    ("retention", "run", "--dry-run"),
    ("projections", "status"),
    ("projections", "status", "--json"),
    ("analytics", "dictionary"),
    ("analytics", "dictionary", "--table", HOSTILE),
    ("analytics", "statements", "--format", "xapi", "--iri", "https://a.example"),
    ("analytics", "statements", "--format", "caliper", "--iri", "https://a.example"),
    ("analytics", "statements", "--format", "xapi", "--iri", f"https://{HOSTILE}"),
    ("doctor",),
    ("account", "link", "--account", 1, "--user", USER, HOSTILE),
    ("account", "link", "--account", 1, "--user", 9, HOSTILE),
    ("analyst", "create", HOSTILE, "--account", 1),
    ("analyst", "remove", HOSTILE),
    ("projections", "rebuild", HOSTILE),
    ("projections", "pause", HOSTILE),
    ("projections", "diff", HOSTILE),
    ("audit", "events", "--from", HOSTILE),
    ("audit", "events", "--type", HOSTILE),
    ("token", "create", "--user", USER, "--scope", HOSTILE),
    ("token", "create", "--user", HOSTILE),
    ("roster", "import", HOSTILE),
    ("analytics", "check", HOSTILE),
    (HOSTILE,),
    ("log", HOSTILE),
    (f"--{HOSTILE}",),
    ("log", "show", f"--{HOSTILE}"),
    ("log", "show", "--after", HOSTILE),
]


def unseen(text: str) -> set[str]:
    """The characters of a text that a terminal would obey or hide, except line feeds."""
    return {c for c in text if unicodedata.category(c)[0] == "C" or c in "\u2028\u2029"} - {"\n"}


def check(ended: Ended, *, escapes: bool = True) -> None:
    """No control character is left, and no line imitates ours."""
    both = ended.out + ended.err
    assert unseen(both) == set(), both
    for line in both.split("\n"):
        assert not line.startswith((GENUINE, "colloquy: all is well")), both
    assert ended.code != 0 or ended.err == "" or "colloquy: all is well" not in ended.err
    if escapes:
        assert re.search(r"\\(x|u00)1b\[2j", both, re.IGNORECASE), both


@pytest.fixture
def hostile_database(database_url: str) -> str:
    filled(database_url)
    return database_url


def test_control_characters_in_stored_data_and_arguments_are_escaped(
    on_database: Run, hostile_database: str
) -> None:
    told = 0
    for command in SHOWING:
        ended = on_database(*command)
        check(ended, escapes=False)
        told += "\\x1b[2J" in ended.out + ended.err or "\\u001b[2J" in ended.out
    assert told > len(SHOWING) * 2 // 3, "most of these commands show such words"


def test_hostile_file_names_and_contents_are_escaped_in_errors(
    on_database: Run, hostile_database: str, tmp_path: Path
) -> None:
    files = hostile_files(tmp_path)
    for command in (
        ("roster", "import", files["csv"]),
        ("experience", "import", "--course", 1, files["json"]),
        ("audit", "verify", "--vkey", files["keys"]),
        ("learner", "record", USER, "--html", tmp_path / HOSTILE / "x"),
        ("audit", "replay", 1, "--html", tmp_path / HOSTILE / "x"),
        ("audit", "export", 1, "--out", files["csv"]),
        ("analytics", "export", "turn_facts", "--out", files["csv"]),
        ("analytics", "check", tmp_path / HOSTILE),
        ("analytics", "report", "--course", 1, "--out", tmp_path / HOSTILE / "x"),
    ):
        ended = on_database(*command)
        assert ended.code != 0, command
        check(ended)


def test_settings_of_such_words_are_refused_in_one_line(run: Run, tmp_path: Path) -> None:
    url = f"postgresql://u:p@127.0.0.1:1/{HOSTILE}"
    for settings in (
        {"COLLOQUY_PORT": HOSTILE},
        {"DATABASE_URL": url.replace("\n", "")},
        {"DATABASE_URL": url, "COLLOQUY_AUDIT_REASON": HOSTILE},
        {"COLLOQUY_HOME": str(tmp_path / "file" / HOSTILE.replace("/", ""))},
    ):
        (tmp_path / "file").touch()
        ended = run("log", "show", **settings)
        assert ended.code != 0
        check(ended, escapes=False)


def test_each_line_of_a_traceback_is_marked_and_escaped(tmp_path: Path) -> None:
    """In a process, since pytest handles exceptions itself."""
    program = (
        "import sys, service.cli as cli\n"
        f"def fails(): raise KeyError('k') from ValueError({HOSTILE!r})\n"
        "cli.main(fails)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, cwd=ROOT, check=False, timeout=60
    )
    ended = Ended(done.returncode, done.stdout.decode(), done.stderr.decode())
    check(ended)
    assert ended.code == 1
    assert "| Traceback (most recent call last):" in ended.err
    assert all(line.startswith("| ") for line in ended.err.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoding", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}]
)
def test_a_stream_that_is_not_in_utf_8_gets_what_it_can_show(
    database_url: str, hostile_database: str, encoding: dict[str, str]
) -> None:
    for words in (("log", "show"), ("audit", "replay", "1"), ("learner", "record", "7")):
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *words],
            env=environment_of({"DATABASE_URL": database_url}) | {"PYTHONUTF8": "0"} | encoding,
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == (1 if "7" in words else 0), done.stderr
        check(Ended(0, done.stdout.decode(), done.stderr.decode()), escapes="7" not in words)


def test_on_a_real_terminal_a_watch_clears_it_and_nothing_else_is_obeyed(
    database_url: str, hostile_database: str
) -> None:
    ours, theirs = pty.openpty()
    watch = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "projections", "status", "--watch"],
        env=environment_of({"DATABASE_URL": database_url}),
        cwd=ROOT,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    printed = b""
    while printed.count(b"\x1b[H\x1b[2J") < 2:
        printed += os.read(ours, 4096)
    watch.terminate()
    assert watch.wait(20) == 0
    os.close(ours)
    screens = printed.decode().replace("\x1b[H\x1b[2J", "").replace("\r\n", "\n")
    assert unseen(screens) == set()
    assert "\\x1b[2J" in screens


def test_no_module_writes_past_the_one_that_escapes() -> None:
    result: dict[str, set[str]] = {}
    for path in sorted((ROOT / "service").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = None
            if isinstance(node, ast.Attribute) and node.attr in STREAMS:
                name = node.attr
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                name = "print"
            elif isinstance(node, ast.ImportFrom) and node.module in ("sys", "click"):
                name = next((a.name for a in node.names if a.name in STREAMS), None)
            if name and not _is_of_another(node):
                result.setdefault(str(path.relative_to(ROOT)), set()).add(name)
    assert result == WRITES


def _is_of_another(node: ast.AST) -> bool:
    """Whether it is the stream of a child process."""
    of = getattr(node, "value", None)
    return isinstance(node, ast.Attribute) and not (
        isinstance(of, ast.Name) and of.id in ("sys", "click")
    )


def test_a_stream_name_cannot_imitate_a_verification(
    on_database: Run, hostile_database: str
) -> None:
    """A stream name that clears the screen and claims that all is well."""
    wrong = "UPDATE events SET revision = 9 WHERE stream NOT SIMILAR TO '[a-z0-9-]+'"
    now(lambda: tamper(hostile_database, wrong))
    ended = on_database("audit", "verify")
    assert ended.code == 1
    assert ended.out.splitlines()[-1].startswith("NOT VERIFIED")
    check(ended)
