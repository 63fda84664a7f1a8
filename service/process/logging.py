"""Logging to standard error: readable lines on a terminal, else JSON lines."""

import asyncio
import atexit
import io
import logging
import sys
from types import TracebackType
from typing import BinaryIO, TextIO, cast

import msgspec
import structlog

from service.escaping import escaped, escaped_json, traceback_lines

_DELAY = 0.02
_encoder = msgspec.json.Encoder(enc_hook=repr)


class _Lines(io.RawIOBase):
    """Buffers lines while an event loop runs: one write per line would slow requests."""

    def __init__(self) -> None:
        self._buffer: list[bytes] = []
        atexit.register(self._write_out)

    def write(self, line: bytes, /) -> int:  # type: ignore[override]  # only bytes come here
        """Takes a line, to be written within `_DELAY` seconds; without a loop, at once."""
        self._buffer.append(line)
        if len(self._buffer) == 1:
            try:
                asyncio.get_running_loop().call_later(_DELAY, self._write_out)
            except RuntimeError:
                self._write_out()
        return len(line)

    def _write_out(self) -> None:
        lines, self._buffer = self._buffer, []
        sys.stderr.buffer.write(b"".join(lines))
        sys.stderr.buffer.flush()


_lines = _Lines()


def configure_logging() -> None:
    """Sends this program's log and its libraries' warnings to standard error."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[*_shared(), *(_console_processors() if terminal else _json_processors())],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_print_logger if terminal else _bytes_logger,
        cache_logger_on_first_use=True,
    )
    libraries = logging.StreamHandler(sys.stderr)
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_shared(), structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *(_console_processors() if terminal else [*_json_processors(), _as_text]),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries], force=True)
    logging.getLogger("aiohttp.server").addFilter(_quotes_no_client)


def _shared() -> list[structlog.typing.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _as_text(_logger: structlog.typing.WrappedLogger, _name: str, line: bytes) -> str:
    return line.decode()


def _quotes_no_client(record: logging.LogRecord) -> bool:
    """Refuses errors about bytes that are not HTTP, which they quote: these may be secret."""
    from aiohttp.http_exceptions import HttpProcessingError
    from aiohttp.web import RequestPayloadError

    not_http = (HttpProcessingError, RequestPayloadError)
    return not (record.exc_info and isinstance(record.exc_info[1], not_http))


def _console_processors() -> list[structlog.typing.Processor]:
    return [_escape, structlog.dev.ConsoleRenderer(exception_formatter=_marked_traceback)]


def _escape(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Escapes paths, errors and the like, so that a terminal obeys no control character of them."""
    return {escaped(name): _printable(name, value) for name, value in event.items()}


def _printable(name: str, value: object) -> object:
    if isinstance(value, str):
        return escaped(value)
    if name == "exc_info" or value is None or isinstance(value, int | float):
        return value
    return escaped(repr(value))


def show_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Prints the traceback of an error that ends the process; for `sys.excepthook`."""
    _marked_traceback(sys.stderr, (kind, error, trace))


def _marked_traceback(out: TextIO, error: structlog.typing.ExcInfo) -> None:
    out.writelines(f"{line}\n" for line in traceback_lines(*error))


def _json_processors() -> list[structlog.typing.Processor]:
    return [structlog.processors.format_exc_info, _render]


def _print_logger(*names: str) -> structlog.typing.WrappedLogger:
    return structlog.PrintLogger(sys.stderr)


def _bytes_logger(*names: str) -> structlog.typing.WrappedLogger:
    return structlog.BytesLogger(cast("BinaryIO", _lines))


def _render(
    _logger: structlog.typing.WrappedLogger, _name: str, event: structlog.typing.EventDict
) -> bytes:
    return escaped_json(_encoder.encode(event))
