"""The settings, read once from the environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from service.errors import SettingsError
from service.setting_values import PATHS, refusal

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings; the table in docs/operations.md says what each is for.

    Attributes:
        postgres_bin: Folder of the programs of the PostgreSQL that is started.
        public_url: Scheme and host under which clients reach the service, for links.
        fallback_model: Asked where `model` gives no answer.
        evaluation_model: `model` where it is not set.
        prices: A price table of one's own.
        max_context_tokens: Bound of what a model is given of a long conversation, as estimated.
        max_replies: Replies under way at most, in one process.
        max_creates, max_messages, max_evaluations, max_feedback: Of one user in a day at most.
        max_connections, max_connections_per_address: Clients connected at most, to one process.
        header_timeout, body_timeout: Seconds that these of a request may take to arrive.
        idle_timeout: Seconds that a connection may be open between two requests.
        cors_origins: Sites whose pages may call the API, separated by spaces or commas.
        jwt: A file that tells whose identity providers' tokens are taken.
        max_attempts: Requests to each model for one answer.
        retry_pause: Seconds before the second request; it doubles.
        reply_timeout: Seconds that a reply of the model may take, all in all.
        stall_timeout: Seconds that the model may be silent.
        stop_timeout: Seconds that running turns get to end when the service stops.
        seal_seconds: Pause between two checkpoints, 0 for none.
        seal_key: A key of one's own, in place of the one in the home.
        log_name: What checkpoints call the log, in place of the name in the home.
        checkpoints: Folder for checkpoints, in place of the one in the home.
        audit_reason: Whether auditors must say why they read.
        lrs_auth: What lets us into a learning record store: user:password, or Bearer and a token.
        projections: Folder with projections of the users' own.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str | None = None
    home: Path = Path("~/.colloquy")
    database_url: str | None = None
    keep_postgres: bool = False
    postgres_bin: Path | None = None
    anthropic_api_key: str | None = None
    anthropic_base_url: str | None = None
    model: str = "claude-haiku-5-5"
    fallback_model: str | None = None
    assessment_model: str = "claude-haiku-5-5"
    evaluation_model: str | None = None
    prices: Path | None = None
    max_context_tokens: Annotated[int, msgspec.Meta(ge=4_000)] = 100_000
    max_replies: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_000
    max_creates: Annotated[int, msgspec.Meta(ge=0)] = 100
    max_messages: Annotated[int, msgspec.Meta(ge=0)] = 1_000
    max_evaluations: Annotated[int, msgspec.Meta(ge=0)] = 1_000
    max_feedback: Annotated[int, msgspec.Meta(ge=0)] = 1_000
    max_connections: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    max_connections_per_address: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 2_000
    header_timeout: Seconds = 20.0
    body_timeout: Seconds = 60.0
    idle_timeout: Seconds = 75.0
    cors_origins: str = ""
    jwt: Path | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    retry_pause: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.5
    max_reply_tokens: Annotated[int, msgspec.Meta(ge=1, le=21_333)] = 1024
    reply_timeout: Seconds = 60.0
    stall_timeout: Seconds = 20.0
    stop_timeout: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 20.0
    seal_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 5.0
    seal_key: Path | None = None
    log_name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._/-]{1,100}\Z")] | None = None
    checkpoints: Path | None = None
    audit_reason: Literal["required", "optional"] = "optional"
    lrs_auth: str | None = None
    projections: Path | None = None


_VARIABLES = {
    "host": "COLLOQUY_HOST",
    "port": "COLLOQUY_PORT",
    "public_url": "COLLOQUY_PUBLIC_URL",
    "home": "COLLOQUY_HOME",
    "database_url": "DATABASE_URL",
    "keep_postgres": "COLLOQUY_KEEP_POSTGRES",
    "postgres_bin": "COLLOQUY_POSTGRES_BIN",
    "anthropic_api_key": "ANTHROPIC_API_KEY",
    "anthropic_base_url": "ANTHROPIC_BASE_URL",
    "model": "COLLOQUY_MODEL",
    "fallback_model": "COLLOQUY_FALLBACK_MODEL",
    "assessment_model": "COLLOQUY_ASSESSMENT_MODEL",
    "evaluation_model": "COLLOQUY_EVALUATION_MODEL",
    "prices": "COLLOQUY_PRICES",
    "max_context_tokens": "COLLOQUY_MAX_CONTEXT_TOKENS",
    "max_replies": "COLLOQUY_MAX_REPLIES",
    "max_creates": "COLLOQUY_MAX_CREATES",
    "max_messages": "COLLOQUY_MAX_MESSAGES",
    "max_evaluations": "COLLOQUY_MAX_EVALUATIONS",
    "max_feedback": "COLLOQUY_MAX_FEEDBACK",
    "max_connections": "COLLOQUY_MAX_CONNECTIONS",
    "max_connections_per_address": "COLLOQUY_MAX_CONNECTIONS_PER_ADDRESS",
    "header_timeout": "COLLOQUY_HEADER_TIMEOUT",
    "body_timeout": "COLLOQUY_BODY_TIMEOUT",
    "idle_timeout": "COLLOQUY_IDLE_TIMEOUT",
    "cors_origins": "COLLOQUY_CORS_ORIGINS",
    "jwt": "COLLOQUY_JWT",
    "max_attempts": "COLLOQUY_MAX_ATTEMPTS",
    "retry_pause": "COLLOQUY_RETRY_PAUSE",
    "max_reply_tokens": "COLLOQUY_MAX_REPLY_TOKENS",
    "reply_timeout": "COLLOQUY_REPLY_TIMEOUT",
    "stall_timeout": "COLLOQUY_STALL_TIMEOUT",
    "stop_timeout": "COLLOQUY_STOP_TIMEOUT",
    "seal_seconds": "COLLOQUY_SEAL_SECONDS",
    "seal_key": "COLLOQUY_SEAL_KEY",
    "log_name": "COLLOQUY_LOG_NAME",
    "checkpoints": "COLLOQUY_CHECKPOINTS",
    "audit_reason": "COLLOQUY_AUDIT_REASON",
    "lrs_auth": "COLLOQUY_LRS_AUTH",
    "projections": "COLLOQUY_PROJECTIONS",
}


def read_settings(environment: Mapping[str, str]) -> Settings:
    """The settings in an environment; a variable that is empty counts as not set.

    Raises:
        SettingsError: A variable has a value that it cannot have; the message names it.
    """
    given = {
        field: environment[variable]
        for field, variable in _VARIABLES.items()
        if environment.get(variable)
    }
    for field, value in given.items():
        _convert(field, value)
    settings = _settings(given)
    at_home = {field: _expanded(field, getattr(settings, field)) for field in PATHS}
    at_home["home"] = settings.home.expanduser().absolute()
    return msgspec.structs.replace(settings, **at_home)


def check_files(settings: Settings) -> None:
    """Refuses settings that name a file or folder which is not there.

    Raises:
        SettingsError: The message names the variable.
    """
    for field in ("jwt", "prices", "seal_key"):
        _check_there(_VARIABLES[field], getattr(settings, field), folder=False)
    _check_there(_VARIABLES["projections"], settings.projections, folder=True)
    if not settings.database_url:
        _check_there(_VARIABLES["postgres_bin"], settings.postgres_bin, folder=True)
    for field in ("home", "checkpoints"):  # which are made where there is nothing
        path: Path | None = getattr(settings, field)
        if path is not None and path.exists():
            _check_there(_VARIABLES[field], path, folder=True)


def _check_there(variable: str, path: Path | None, *, folder: bool) -> None:
    if path is None:
        return
    try:
        path.stat()
    except OSError as error:
        raise SettingsError(f"{variable}: {path}: {error.strerror}") from error
    if path.is_dir() != folder:
        raise SettingsError(f"{variable}: {path} is {'no' if folder else 'a'} folder")


def _expanded(field: str, path: Path | None) -> Path | None:
    try:
        return path and path.expanduser()
    except RuntimeError as error:
        raise SettingsError(f"{_VARIABLES[field]}: {path} has no such user") from error


def _convert(field: str, value: str) -> None:
    reason = refusal(field, value)
    try:
        if reason is None:
            _settings({field: value})
    except msgspec.ValidationError as error:
        reason = str(error).partition(" - at ")[0].replace("`", "")
    if reason is not None:
        secret = any(part in field for part in ("key", "url", "auth"))
        shown = "its value" if secret else repr(value)
        raise SettingsError(f"{_VARIABLES[field]}: {shown} is not allowed: {reason}")


def _settings(given: Mapping[str, str]) -> Settings:
    return msgspec.convert(given, Settings, strict=False, dec_hook=_decode)


def _decode(kind: type, value: Any) -> Any:
    return kind(value)
