"""The one way of commands to standard output and standard error, which may be a terminal.

Whatever is told takes one line, and nothing in it is obeyed by a terminal or starts a line of its
own, whoever wrote it (see `service.escaping`).
"""

import sys
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TextIO, TypeVar

import click
import msgspec

from service.escaping import escaped, escaped_json, traceback_lines

_CLEAR = "\x1b[H\x1b[2J"
T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def tell(line: object = "") -> None:
    """Writes a line to standard output."""
    _write(sys.stdout, f"{_fit(sys.stdout, line)}\n")


def tell_json(value: object) -> None:
    """Writes a value as a line of JSON to standard output."""
    click.echo(escaped_json(_encoder.encode(value)))


def tell_either(value: T, words: Callable[[T], str], *, as_json: bool) -> None:
    """Writes a value to standard output, as JSON or in words, on one line."""
    if as_json:
        tell_json(value)
    else:
        tell(words(value))


def redraw(lines: Iterable[str]) -> None:
    """Clears the terminal that standard output is, and shows these lines."""
    _write(sys.stdout, _CLEAR + "\n".join(_fit(sys.stdout, line) for line in lines) + "\n")


def ask_for_enter() -> None:
    """Waits until Enter is pressed."""
    _write(sys.stdout, _fit(sys.stdout, "Enter … "))
    sys.stdin.readline()


def warn(line: object) -> None:
    """Writes a line to standard error."""
    _write(sys.stderr, f"{_fit(sys.stderr, line)}\n")


def warn_of_usage(error: click.ClickException) -> None:
    """Tells what is wrong with a command line, as click does."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        for line in error.ctx.get_usage().split("\n"):
            warn(line)
        warn(f"Try '{error.ctx.command_path} --help' for help.")
        warn("")
    message = error.format_message()
    if isinstance(error, click.MissingParameter):  # these are our words, on several lines
        message = " ".join(message.split())
    warn(f"Error: {message}")


def show_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Shows an error that nobody has foreseen, as `sys.excepthook` is asked to."""
    for line in traceback_lines(kind, error, trace):
        warn(line)


def _fit(stream: TextIO, line: object) -> str:
    """A line as the stream can show it, which need not be in UTF-8."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return escaped(str(line)).encode(encoding, "backslashreplace").decode(encoding)


def _write(stream: TextIO, text: str) -> None:
    click.echo(text, nl=False, file=stream)
