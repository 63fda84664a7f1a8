"""The environment, read once."""

from pathlib import Path

import msgspec
import pytest

from projections.user_defined import user_defined_projections, write_template
from service.errors import SettingsError
from service.identity.issuers import read_trust
from service.model.prices import read_prices
from service.setting_values import PATHS
from service.settings import _VARIABLES, Settings, check_files, read_settings

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
        ("COLLOQUY_PRICES", "~nobody-of-this-name/x"),
        *(
            ("COLLOQUY_CORS_ORIGINS", value)
            for value in (
                *("*", "null", "https://*", "https://*.example.edu", "lms.example.edu", "//x"),
                *("https://x/", "https://x/path", "https://x?q", "https://x#f", "https://u@x"),
                *("https://x:", "https://x:0", "https://x:99999", "https://x:y", "https://x:443"),
                *("http://x:80", "HTTPS://x", "https://X", "ftp://x", "file:///x", "https://é"),
                *("https://", "https:x", "https://[::1", "https://[x]"),
            )
        ),
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


@pytest.mark.parametrize(
    "value",
    [
        *("https://lms.example.edu", "http://localhost:3000", "https://x:8443", "http://[::1]:1"),
        *("https://a,https://b", " https://a , https://b ", "http://x:443 https://x:80"),
    ],
)
def test_sites_are_named_as_browsers_name_them(value: str) -> None:
    assert read_settings({"COLLOQUY_CORS_ORIGINS": value}).cors_origins == value


def test_of_several_sites_the_wrong_one_is_told() -> None:
    with pytest.raises(SettingsError, match=r"'https://b/' .*such as https://lms\.example\.edu"):
        read_settings({"COLLOQUY_CORS_ORIGINS": "https://a https://b/"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        *(
            ("COLLOQUY_PUBLIC_URL", value)
            for value in (
                *("colloquy.example.edu", "https://x/", "https://x/path", "https://x:99999"),
                *(
                    "https://x:y",
                    "https://x:",
                    "https://u:p@x",
                    "ftp://x",
                    "https://",
                    "https://a b",
                ),
                *("https://[::1", "https://x?q", "https://é"),
            )
        ),
        *(
            ("ANTHROPIC_BASE_URL", value)
            for value in (
                *(
                    "rubbish",
                    "localhost:4000",
                    "ftp://x",
                    "http://",
                    "http:///v1",
                    "http://x:99999",
                ),
                *("http://x:y/v1", "http://a b", "http://x/a b", "http://x?key=1", "http://x/#f"),
                *("http://[::1", "//x", "http://x?"),
            )
        ),
        *(
            ("DATABASE_URL", value)
            for value in (
                *("rubbish", "mysql://x/y", "http://x", "localhost:5432/x", "postgresql:x"),
                *("postgresql://x:99999/y", "postgresql://x:port/y", "postgresql://a,b:99999/y"),
                *("postgresql://[::1/y", "postgresql://a b/y", "host=x dbname=y"),
            )
        ),
        *(("ANTHROPIC_API_KEY", value) for value in ("sk x", "sk-é", "sk\u2019s", "“sk”")),
    ],
)
def test_what_may_hold_a_secret_is_refused_without_it(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({variable: value})
    message = str(refused.value)
    assert message.startswith(f"{variable}: its value is not allowed: it must be ")
    assert "\n" not in message
    assert f"{value} " not in message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("COLLOQUY_PUBLIC_URL", "https://colloquy.example.edu:8443"),
        ("COLLOQUY_PUBLIC_URL", "http://[::1]:8080"),
        ("COLLOQUY_PUBLIC_URL", "http://127.0.0.1"),
        ("ANTHROPIC_BASE_URL", "http://localhost:4000"),
        ("ANTHROPIC_BASE_URL", "https://gateway.example.edu/v1/anthropic/"),
        ("ANTHROPIC_BASE_URL", "https://user:p%40ss@gateway.example.edu"),
        ("ANTHROPIC_API_KEY", "sk-ant-api03_A.b-C=="),
        ("DATABASE_URL", "postgres://u:p@h/d"),
        ("DATABASE_URL", "postgresql://u:p@h1:1,h2:2/d?sslmode=require"),
        ("DATABASE_URL", "postgresql:///d?host=/run/postgresql"),
        ("DATABASE_URL", "postgresql://u:p@%2Frun%2Fpostgresql/d"),
        ("DATABASE_URL", "postgresql://u:p@[::1]:5432/d"),
        ("DATABASE_URL", "postgresql://"),
    ],
)
def test_urls_that_can_work_are_taken(variable: str, value: str) -> None:
    assert value in msgspec.structs.astuple(read_settings({variable: value}))


@pytest.mark.parametrize("variable", _VARIABLES.values())
@pytest.mark.parametrize("added", ["\n", "\r", "\x00", "\x1b[31m", "\x85", "\u2028", "\udce9"])
def test_no_setting_has_a_control_character_or_bytes_that_are_no_text(
    variable: str, added: str
) -> None:
    """But paths, which are what the file system says."""
    good = dict.fromkeys(_VARIABLES.values(), "1") | {
        "COLLOQUY_PUBLIC_URL": "https://x",
        "ANTHROPIC_BASE_URL": "https://x",
        "COLLOQUY_CORS_ORIGINS": "https://x",
        "DATABASE_URL": "postgresql://x/y",
        "COLLOQUY_AUDIT_REASON": "required",
    }
    paths = {_VARIABLES[field] for field in PATHS}
    if added == "\udce9" and variable in paths:
        read_settings({variable: f"/{added}"})
        return
    for value in (good[variable] + added, added + good[variable], f"a{added}b"):
        with pytest.raises(SettingsError) as refused:
            read_settings({variable: value})
        assert str(refused.value).startswith(f"{variable}: ")
        assert added not in str(refused.value)
        assert "is not allowed: it " in str(refused.value)


@pytest.mark.parametrize("value", [" other", "other ", "\u00a0other", " "])
def test_a_name_has_no_blank_before_or_behind_it(value: str) -> None:
    """Which nobody sees, and nobody's model is called so."""
    for variable in ("COLLOQUY_MODEL", "COLLOQUY_FALLBACK_MODEL", "COLLOQUY_HOST", "DATABASE_URL"):
        with pytest.raises(SettingsError, match=f"^{variable}: .*it begins or ends with a blank"):
            read_settings({variable: value})


def test_secrets_are_not_told() -> None:
    for variable in ("ANTHROPIC_API_KEY", "COLLOQUY_LRS_AUTH", "DATABASE_URL"):
        with pytest.raises(SettingsError) as refused:
            read_settings({variable: "s3cret\n"})
        assert "s3cret" not in str(refused.value)


def test_files_and_folders_that_settings_name_must_be_there(tmp_path: Path) -> None:
    """A file where a folder is meant, or the other way round, is not."""
    file, folder, nothing = tmp_path / "file", tmp_path / "folder", tmp_path / "nothing"
    file.write_text("x")
    folder.mkdir()
    files = ("COLLOQUY_JWT", "COLLOQUY_PRICES", "COLLOQUY_SEAL_KEY")
    made = ("COLLOQUY_HOME", "COLLOQUY_CHECKPOINTS")
    folders = ("COLLOQUY_PROJECTIONS", "COLLOQUY_POSTGRES_BIN", *made)
    home = {"COLLOQUY_HOME": str(tmp_path)}
    for variable in (*files, *folders):
        good, wrong = (file, folder) if variable in files else (folder, file)
        check_files(read_settings(home | {variable: str(good)}))
        told = [(wrong, "folder")] + ([] if variable in made else [(nothing, "No such file")])
        for path, reason in told:
            with pytest.raises(SettingsError, match=f"^{variable}: {path}.*{reason}"):
                check_files(read_settings(home | {variable: str(path)}))
    check_files(read_settings(home | {"COLLOQUY_CHECKPOINTS": str(nothing)}))


def test_files_that_people_write_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """As some editors put one before all that they write."""
    prices, trust = tmp_path / "prices.toml", tmp_path / "jwt.toml"
    prices.write_text('version = "v"\nmodels = {}\n', "utf-8-sig")
    assert read_prices(prices).version == "v"
    issuer = 'issuer = "x"\naudience = "y"\njwks_url = "https://x"\naccount = 1\n'
    trust.write_text(f'[[issuer]]\n{issuer}claims = {{ user_id = "sub" }}\n', "utf-8-sig")
    assert [one.issuer for one in read_trust(trust).issuer] == ["x"]
    write_template(tmp_path / "own", "hourly")
    for file in (tmp_path / "own" / "hourly").iterdir():
        file.write_text(file.read_text(), "utf-8-sig")
    assert user_defined_projections(tmp_path / "own")["hourly"].readable().name == "hourly"


def test_programs_are_not_looked_for_where_none_is_started() -> None:
    given = {"COLLOQUY_POSTGRES_BIN": "/nowhere", "DATABASE_URL": "postgresql://x/y"}
    check_files(read_settings(given | {"COLLOQUY_HOME": "/nowhere"}))


def test_the_first_of_several_wrong_ones_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^COLLOQUY_PORT: 'x'"):
        read_settings({"COLLOQUY_STALL_TIMEOUT": "y", "COLLOQUY_PORT": "x"})


def test_a_home_is_made_absolute() -> None:
    assert read_settings({"COLLOQUY_HOME": "here"}).home == Path.cwd() / "here"
    assert read_settings({"COLLOQUY_HOME": "~/x"}).home == Path.home() / "x"


def test_other_paths_may_begin_with_ones_home_too() -> None:
    """A file of settings is read by no shell."""
    assert read_settings({"COLLOQUY_JWT": "~/x"}).jwt == Path.home() / "x"
    assert read_settings({"COLLOQUY_PRICES": "~/x"}).prices == Path.home() / "x"
    assert read_settings({"COLLOQUY_PROJECTIONS": "here"}).projections == Path("here")
