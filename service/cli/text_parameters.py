"""Parameters that must be text: the words of a command line are bytes."""

import click

from service.escaping import is_blank


class _Text(click.ParamType[str]):
    """Text that is stored, sent or searched: UTF-8 without NUL. File names may be any bytes."""

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
"""Text with a visible character."""


def restrict_to_text(command: click.Command) -> None:
    """Makes each string parameter of a command and of its subcommands `TEXT`."""
    for parameter in command.params:
        if parameter.type is click.STRING:
            parameter.type = TEXT
    if isinstance(command, click.Group):
        for child in command.commands.values():
            restrict_to_text(child)
