"""A progress bar for rebuilds."""

import sys

import click

from projections.parallel_build import Progress

_WORTH_A_BAR = 100_000


def progress_bar(label: str) -> Progress:
    """A callback that draws a bar on a terminal, and is silent where there is none.

    Work that is over in a blink gets no bar.
    """
    if not sys.stderr.isatty():
        return lambda _done, _total: None
    bar = click.progressbar(length=0, label=label, file=sys.stderr, show_pos=True)

    def show(done: int, total: int) -> None:
        if total < _WORTH_A_BAR:
            return
        bar.length = total
        bar.update(done - bar.pos)
        if done >= total:
            bar.render_finish()

    return show
