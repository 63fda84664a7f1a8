"""`colloquy analytics`. The commands themselves are in modules of their own."""

import click


@click.group()
def analytics() -> None:
    """What analysts take away."""
