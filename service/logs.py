"""Logging: for a person on a terminal, JSON lines otherwise; always to standard error."""

import logging
import sys

import msgspec
import structlog
from aiohttp.http_exceptions import HttpProcessingError

_encoder = msgspec.json.Encoder(enc_hook=repr)


def configure_logging() -> None:
    """Sends this program's log, and the warnings of its libraries, to standard error."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(_for_people() if sys.stderr.isatty() else _for_programs()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_print_logger if sys.stderr.isatty() else _bytes_logger,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    logging.getLogger("aiohttp.server").addFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether it is more than bytes that are no HTTP: these are the client's, and may be secret."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def _for_people() -> list[structlog.typing.Processor]:
    return [structlog.dev.ConsoleRenderer()]


def _for_programs() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, _render]


def _print_logger(*names: str) -> structlog.typing.WrappedLogger:
    return structlog.PrintLogger(sys.stderr)


def _bytes_logger(*names: str) -> structlog.typing.WrappedLogger:
    return structlog.BytesLogger(sys.stderr.buffer)


def _render(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> bytes:
    return _encoder.encode(event)
