"""No command takes a number that the database could not hold."""

from collections.abc import Iterator

import click
import pytest

from tests.service.cli.command_runs import Run, Words, all_commands

LARGEST = 2**63 - 1
LIMITED = {"--batch", "--days", "days", "--jobs", "--port", "--workers"}
"""Numbers that are no ids, and have limits of their own."""


def numbers() -> Iterator[tuple[Words, click.Parameter, str]]:
    """Each command's parameters that are numbers."""
    for words, command in all_commands():
        for parameter in command.params:
            if isinstance(parameter.type, click.types.IntParamType):
                yield words, parameter, parameter.opts[0]


NUMBERS = [pytest.param(*one, id=" ".join((*one[0], one[2]))) for one in numbers()]


def test_there_are_numbers_to_try() -> None:
    assert len(NUMBERS) > 30
    assert {name for _, _, name in numbers()} >= LIMITED


@pytest.mark.parametrize(("words", "parameter", "name"), NUMBERS)
def test_a_number_above_what_the_database_holds_is_a_usage_error(
    words: Words, parameter: click.Parameter, name: str, run: Run
) -> None:
    option = isinstance(parameter, click.Option)
    ended = run(*words, *((name,) if option else ()), LARGEST + 1)
    assert (ended.code, ended.out) == (2, "")
    assert f"{LARGEST + 1} is not in the range" in ended.err
    assert isinstance(parameter.type, click.IntRange)
    if name not in LIMITED:
        assert parameter.type.max == LARGEST
