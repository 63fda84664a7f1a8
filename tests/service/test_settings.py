"""The environment, read once."""

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import _VARIABLES, Settings, read_settings

SECRET = "postgresql://owner:s3cret@127.0.0.1/x"


def test_an_empty_environment_gives_the_defaults() -> None:
    """And no secret has one."""
    settings = read_settings({})
    assert settings.home == Path("~/.colloquy").expanduser()
    assert (settings.host, settings.port) == ("127.0.0.1", 8080)
    assert (settings.database_url, settings.anthropic_api_key) == (None, None)


def test_every_setting_has_a_variable_and_is_read_from_it() -> None:
    assert set(_VARIABLES) == set(Settings.__struct_fields__)
    given: dict[str, str] = {
        "COLLOQUY_HOST": "0.0.0.0",
        "COLLOQUY_PORT": "0",
        "COLLOQUY_PUBLIC_URL": "https://colloquy.example.edu",
        "COLLOQUY_HOME": "/srv/colloquy",
        "DATABASE_URL": SECRET,
        "COLLOQUY_KEEP_POSTGRES": "1",
        "COLLOQUY_POSTGRES_BIN": "/opt/postgresql/bin",
        "ANTHROPIC_API_KEY": "sk-x",
        "ANTHROPIC_BASE_URL": "http://gateway",
        "COLLOQUY_MODEL": "other",
        "COLLOQUY_FALLBACK_MODEL": "second",
        "COLLOQUY_ASSESSMENT_MODEL": "cheap",
        "COLLOQUY_EVALUATION_MODEL": "thorough",
        "COLLOQUY_PRICES": "/etc/prices.toml",
        "COLLOQUY_JWT": "/etc/jwt.toml",
        "COLLOQUY_MAX_CONTEXT_TOKENS": "9000",
        "COLLOQUY_MAX_REPLIES": "9",
        "COLLOQUY_MAX_CREATES": "0",
        "COLLOQUY_MAX_MESSAGES": "3",
        "COLLOQUY_MAX_EVALUATIONS": "4",
        "COLLOQUY_MAX_FEEDBACK": "5",
        "COLLOQUY_BODY_TIMEOUT": "7.5",
        "COLLOQUY_MAX_CONNECTIONS": "11",
        "COLLOQUY_MAX_CONNECTIONS_PER_ADDRESS": "12",
        "COLLOQUY_HEADER_TIMEOUT": "8.5",
        "COLLOQUY_IDLE_TIMEOUT": "9.5",
        "COLLOQUY_CORS_ORIGINS": "https://lms.example.edu, https://b.example.edu",
        "COLLOQUY_MAX_ATTEMPTS": "4",
        "COLLOQUY_RETRY_PAUSE": "0.25",
        "COLLOQUY_MAX_REPLY_TOKENS": "7",
        "COLLOQUY_REPLY_TIMEOUT": "1.5",
        "COLLOQUY_STALL_TIMEOUT": "2",
        "COLLOQUY_STOP_TIMEOUT": "0",
        "COLLOQUY_SEAL_SECONDS": "0",
        "COLLOQUY_SEAL_KEY": "/run/secrets/seal.key",
        "COLLOQUY_LOG_NAME": "log.example.edu/talks",
        "COLLOQUY_CHECKPOINTS": "/mnt/checkpoints",
        "COLLOQUY_AUDIT_REASON": "required",
        "COLLOQUY_LRS_AUTH": "reader:s3cret",
        "COLLOQUY_PROJECTIONS": "/srv/projections",
    }
    assert set(given) == set(_VARIABLES.values())
    assert read_settings(given) == Settings(
        host="0.0.0.0",
        port=0,
        public_url="https://colloquy.example.edu",
        home=Path("/srv/colloquy"),
        database_url=SECRET,
        keep_postgres=True,
        postgres_bin=Path("/opt/postgresql/bin"),
        anthropic_api_key="sk-x",
        anthropic_base_url="http://gateway",
        model="other",
        fallback_model="second",
        assessment_model="cheap",
        evaluation_model="thorough",
        prices=Path("/etc/prices.toml"),
        jwt=Path("/etc/jwt.toml"),
        max_context_tokens=9000,
        max_replies=9,
        max_creates=0,
        max_messages=3,
        max_evaluations=4,
        max_feedback=5,
        body_timeout=7.5,
        max_connections=11,
        max_connections_per_address=12,
        header_timeout=8.5,
        idle_timeout=9.5,
        cors_origins="https://lms.example.edu, https://b.example.edu",
        max_attempts=4,
        retry_pause=0.25,
        max_reply_tokens=7,
        reply_timeout=1.5,
        stall_timeout=2.0,
        stop_timeout=0.0,
        seal_seconds=0.0,
        seal_key=Path("/run/secrets/seal.key"),
        log_name="log.example.edu/talks",
        checkpoints=Path("/mnt/checkpoints"),
        audit_reason="required",
        lrs_auth="reader:s3cret",
        projections=Path("/srv/projections"),
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read_settings(dict.fromkeys(_VARIABLES.values(), "")) == read_settings({})


def test_other_variables_are_nobodys_business() -> None:
    assert read_settings({"PATH": "/bin", "COLLOQUY_TEST_HOME": "/x"}) == read_settings({})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(("COLLOQUY_PORT", value) for value in ("abc", "-1", "65536", "80.5", " 80", "0x50")),
        *(("COLLOQUY_KEEP_POSTGRES", value) for value in ("yes", "maybe", "2")),
        *(("COLLOQUY_MAX_REPLY_TOKENS", value) for value in ("0", "21334", "1.5")),
        *(("COLLOQUY_REPLY_TIMEOUT", value) for value in ("0", "-1", "nan", "inf", "3601", "1 s")),
        *(("COLLOQUY_STALL_TIMEOUT", value) for value in ("0", "soon")),
        *(("COLLOQUY_STOP_TIMEOUT", value) for value in ("-0.1", "nan")),
        *(("COLLOQUY_SEAL_SECONDS", value) for value in ("-1", "3601", "often")),
        *(("COLLOQUY_LOG_NAME", value) for value in ("a b", "a+b", "é", "x" * 101)),
        *(("COLLOQUY_MAX_CREATES", value) for value in ("-1", "many", "1.5")),
        *(("COLLOQUY_MAX_MESSAGES", value) for value in ("-1", "many")),
        *(("COLLOQUY_MAX_EVALUATIONS", value) for value in ("-1", "many")),
        *(("COLLOQUY_MAX_FEEDBACK", value) for value in ("-1", "many")),
        *(("COLLOQUY_MAX_CONNECTIONS", value) for value in ("0", "-1", "many")),
        *(("COLLOQUY_MAX_CONNECTIONS_PER_ADDRESS", value) for value in ("0", "many")),
        *(("COLLOQUY_HEADER_TIMEOUT", value) for value in ("0", "soon")),
        *(("COLLOQUY_IDLE_TIMEOUT", value) for value in ("0", "soon")),
        *(("COLLOQUY_BODY_TIMEOUT", value) for value in ("0", "3601", "soon")),
        ("COLLOQUY_HOME", "~nobody-of-this-name/x"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_variable(
    variable: str, value: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({variable: value})
    message = str(refused.value)
    assert message.startswith(f"{variable}: ")
    assert value in message
    assert "\n" not in message


def test_the_first_of_several_wrong_ones_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^COLLOQUY_PORT: 'x'"):
        read_settings({"COLLOQUY_STALL_TIMEOUT": "y", "COLLOQUY_PORT": "x"})


def test_a_home_is_made_absolute() -> None:
    assert read_settings({"COLLOQUY_HOME": "here"}).home == Path.cwd() / "here"
    assert read_settings({"COLLOQUY_HOME": "~/x"}).home == Path.home() / "x"
