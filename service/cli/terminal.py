"""The one way of commands to standard output and standard error, which may be a terminal.

Whatever is told takes one line, and nothing in it is obeyed by a terminal or starts a line of its
own, whoever wrote it (see `service.escaping`).
"""

import json
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, TextIO, TypeVar

import click
import msgspec

from service.errors import OutputLost, ServiceError
from service.escaping import escaped, escaped_json, traceback_lines
from service.json_values import NUMBER_IDS

_CLEAR = "\x1b[H\x1b[2J"
T = TypeVar("T")


def tell(line: object = "") -> None:
    """Writes a line to standard output."""
    _write(sys.stdout, f"{_fit(sys.stdout, line)}\n")


def tell_json(value: object) -> None:
    """Writes a value as a line of JSON to standard output."""
    _write(sys.stdout, escaped_json(_encoded(value)) + b"\n")


def tell_either(value: T, words: Callable[[T], str], *, as_json: bool) -> None:
    """Writes a value to standard output, as JSON or in words, on one line."""
    if as_json:
        tell_json(value)
    else:
        tell(words(value))


def tell_each(values: Iterable[T], words: Callable[[T], str], none: str, *, as_json: bool) -> None:
    """Writes each value as `tell_either` does; where there is none, a note to standard error."""
    number = 0
    for number, value in enumerate(values, 1):  # noqa: B007 - told below
        tell_either(value, words, as_json=as_json)
    if not number:
        warn(none)


def redraw(lines: Iterable[str]) -> None:
    """Clears the terminal that standard output is, and shows these lines."""
    _write(sys.stdout, _CLEAR + "\n".join(_fit(sys.stdout, line) for line in lines) + "\n")


def ask_for_enter() -> None:
    """Waits until Enter is pressed."""
    _write(sys.stdout, _fit(sys.stdout, "Enter … "))
    sys.stdin.readline()


def confirm(question: str) -> None:
    """Asks on a terminal, and ends the command at any answer but yes.

    Raises:
        ServiceError: There is no terminal to ask.
    """
    if not sys.stdin.isatty():
        raise ServiceError("nobody is there to ask: give --yes to do it without")
    click.confirm(question, abort=True, err=True)


def warn(line: object) -> None:
    """Writes a line to standard error, where that can be written."""
    with suppress(OSError):
        click.echo(f"{_fit(sys.stderr, line)}\n", nl=False, file=sys.stderr)


def warn_of_usage(error: click.ClickException) -> None:
    """Prints a usage error, as click does."""
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
    """Shows an unexpected error; a `sys.excepthook`."""
    for line in traceback_lines(kind, error, trace):
        warn(line)


def open_standard_streams() -> None:
    """Opens closed standard streams, so that no connection gets our output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))


def leave_quietly() -> NoReturn:
    """Ends the command when the reader of its output has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is flushed at the end
    sys.exit(1)


def _fit(stream: TextIO, line: object) -> str:
    """A line as the stream can show it, which need not be in UTF-8."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return escaped(str(line)).encode(encoding, "backslashreplace").decode(encoding)


def _encoded(value: object) -> bytes:
    try:
        return NUMBER_IDS.encode(value)
    except UnicodeEncodeError:  # the name of a file that is not in UTF-8
        return json.dumps(msgspec.to_builtins(value, enc_hook=int), separators=(",", ":")).encode()


def _write(stream: TextIO, text: str | bytes) -> None:
    """Raises OutputLost where the stream cannot be written."""
    try:
        click.echo(text, nl=False, file=stream)
    except OSError as error:
        raise OutputLost(error) from error
