"""Commands as tests run them, and helpers to look at their effects."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from service.cli import colloquy as colloquy_group
from tests.running import fetch_value

T = TypeVar("T")
HEAD = "course_id,user_id,name,role,status"
EXPERIENCE = {
    "title": "Tides",
    "learning_objective": "Ask\nListen",
    "pedagogical_guidance": "Be kind",
}


Words = tuple[str, ...]


def all_commands(
    command: click.Command = colloquy_group, words: Words = ()
) -> Iterator[tuple[Words, click.Command]]:
    """Every command and group, with the words that name it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from all_commands(child, (*words, name))


class Ended(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """Its output, one JSON object a line."""
        return [msgspec.json.decode(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]


def file_with(folder: Path, text: str, name: str = "file") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def ask(database_url: str, statement: str, *arguments: object) -> Any:
    """One value, for tests that are not async because the commands bring their own loop."""
    return now(lambda: fetch_value(database_url, statement, *arguments))


def now(work: Callable[[], Awaitable[T]]) -> T:
    async def done() -> T:
        return await work()

    return asyncio.run(done())


def refused(ended: Ended) -> str:
    """The reason that a refused command gives, in one line."""
    assert (ended.code, ended.out) == (1, ""), ended
    assert ended.err.startswith("colloquy: ")
    assert ended.err.count("\n") == 1, ended.err
    return ended.err.removeprefix("colloquy: ").rstrip("\n")
