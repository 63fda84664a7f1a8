"""What a command line may hold: bytes of the system, which need not be text."""

import click

from service.escaping import is_blank


class _Text(click.ParamType[str]):
    """Words that are stored, sent or looked for: in UTF-8, as all text is.

    Names of files are bytes to the system, and stay what they are.
    """

    name = "text"

    def __init__(self, *, visible: bool = False) -> None:
        self._visible = visible

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        text = str(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            self.fail("is not text in UTF-8", param, ctx)
        if "\0" in text:
            self.fail("has a NUL character", param, ctx)
        if self._visible and is_blank(text):
            self.fail("has no visible character", param, ctx)
        return text


TEXT = _Text()
VISIBLE_TEXT = _Text(visible=True)
"""The same with something in it that a reader would see."""


def take_text_only(command: click.Command) -> None:
    """Holds all words that a command and those below it are given to what text may be."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = TEXT
    if isinstance(command, click.Group):
        for child in command.commands.values():
            take_text_only(child)
