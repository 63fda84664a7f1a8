"""Output of commands: they write to standard output and standard error only through here.

Each value takes one line. Control characters in it are escaped, so that untrusted text can neither
control a terminal nor begin a line (see `service.escaping`).
"""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
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


def print_line(line: object = "") -> None:
    """Writes a line to standard output."""
    _write(sys.stdout, f"{_printable(sys.stdout, line)}\n")


def print_json(value: object) -> None:
    """Writes a value as a line of JSON to standard output."""
    _write(sys.stdout, escaped_json(_encoded(value)) + b"\n")


def print_value(value: T, line_of: Callable[[T], str], *, as_json: bool) -> None:
    """Writes a value to standard output on one line, as JSON or as `line_of` formats it."""
    if as_json:
        print_json(value)
    else:
        print_line(line_of(value))


def print_values(
    values: Sequence[T], line_of: Callable[[T], str], none: str, *, as_json: bool
) -> None:
    """Writes each value as `print_value` does; without values, `none` to standard error."""
    for value in values:
        print_value(value, line_of, as_json=as_json)
    if not values:
        warn(none)


def redraw(lines: Iterable[str]) -> None:
    """Clears the terminal of standard output and shows these lines."""
    _write(sys.stdout, _CLEAR + "\n".join(_printable(sys.stdout, line) for line in lines) + "\n")


def ask_for_enter() -> None:
    """Waits until Enter is pressed."""
    _write(sys.stdout, _printable(sys.stdout, "Enter … "))
    sys.stdin.readline()


def confirm(question: str) -> None:
    """Asks on a terminal, and ends the command at any answer but yes.

    Raises:
        ServiceError: Standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise ServiceError("there is no terminal to confirm this on: give --yes")
    click.confirm(question, abort=True, err=True)


def warn(line: object) -> None:
    """Writes a line to standard error; ignores that it cannot be written."""
    with suppress(OSError):
        click.echo(f"{_printable(sys.stderr, line)}\n", nl=False, file=sys.stderr)


def warn_of_usage(error: click.ClickException) -> None:
    """Writes a usage error to standard error, as click does."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        for line in error.ctx.get_usage().split("\n"):
            warn(line)
        warn(f"Try '{error.ctx.command_path} --help' for help.")
        warn("")
    message = error.format_message()
    if isinstance(error, click.MissingParameter):  # it lists values on several lines
        message = " ".join(message.split())
    warn(f"Error: {message}")


def print_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Writes the traceback of an unexpected error; for `sys.excepthook`."""
    for line in traceback_lines(kind, error, trace):
        warn(line)


def open_standard_streams() -> None:
    """Opens closed standard streams, so that no connection gets their number and our output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number
    for name, number in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8"))


def exit_quietly() -> NoReturn:
    """Ends the command when the reader of its output has gone, as `head` does."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
    sys.exit(1)


def _printable(stream: TextIO, line: object) -> str:
    """A line escaped for a terminal, in characters of the stream's encoding."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return escaped(str(line)).encode(encoding, "backslashreplace").decode(encoding)


def _encoded(value: object) -> bytes:
    try:
        return NUMBER_IDS.encode(value)
    except UnicodeEncodeError:  # a file name that is not UTF-8
        return json.dumps(msgspec.to_builtins(value, enc_hook=int), separators=(",", ":")).encode()


def _write(stream: TextIO, text: str | bytes) -> None:
    """Raises OutputLost if the stream cannot be written."""
    try:
        click.echo(text, nl=False, file=stream)
    except OSError as error:
        raise OutputLost(error) from error
