"""A progress bar for rebuilds."""

import sys

import click

from projections.parallel_build import Progress

_MIN_TOTAL = 100_000


def progress_bar(label: str) -> Progress:
    """A callback that draws a bar if standard error is a terminal; short work gets none."""
    if not sys.stderr.isatty():
        return lambda _done, _total: None
    bar = click.progressbar(length=0, label=label, file=sys.stderr, show_pos=True)

    def show(done: int, total: int) -> None:
        if total < _MIN_TOTAL:
            return
        bar.length = total
        bar.update(done - bar.pos)
        if done >= total:
            bar.render_finish()

    return show
