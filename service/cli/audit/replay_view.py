"""A replay on a terminal."""

import textwrap
from collections.abc import Iterable, Iterator

from service.audit.replay_details import Detail, details, who, with_states
from service.audit.replay_page import facts_of
from service.audit.replay_steps import Step
from service.audit.replays import Replayed
from service.cli.context import printable
from service.cli.terminal import ask_for_enter, print_line

_WIDTH = 96
_LABEL = 27


def print_replay(replayed: Replayed, *, step: bool) -> None:
    """Prints a replay.

    Args:
        step: Whether to print only its steps, and to wait for Enter after each.
    """
    print_line(f"Conversation {replayed.conversation_id}")
    _print_all(_list(facts_of(replayed)))
    if not step:
        print_line()
        print_line("What the learner saw")
        print_line()
        _print_all(_learner_view(replayed))
    print_line()
    print_line("Step by step; * marks what the learner did not see, ~ what was withdrawn later")
    print_line()
    for number, one in enumerate(replayed.steps, 1):
        _print_all(_step(one))
        if step and number < len(replayed.steps):
            ask_for_enter()
        else:
            print_line()


def _print_all(lines: Iterable[str]) -> None:
    for line in lines:
        print_line(line)


def _learner_view(replayed: Replayed) -> Iterator[str]:
    if replayed.seen is None:
        yield "  nothing: the conversation had not begun"
        return
    for message, state in with_states(replayed.seen["messages"]):
        yield f"  {message['role']}, {message['created_at']}{f' ({state})' if state else ''}"
        yield from _text(message["text"])
        for vote in message["feedback"]:
            yield f"    {vote['vote']} {printable(vote['feedback_message'] or '')}".rstrip()


def _step(step: Step) -> Iterator[str]:
    mark = " " if step.shown else "~" if step.withdrawn else "*"
    yield (
        f"{mark} {step.position:>6}  {step.recorded_at:%Y-%m-%d %H:%M:%S}  {step.title} "
        f"({printable(who(step))})"
    )
    yield from _text(step.text)
    yield from _list(details(step))


def _text(text: str | None) -> Iterator[str]:
    for line in (text or "").splitlines():
        yield from textwrap.wrap(
            printable(line), _WIDTH, initial_indent="    | ", subsequent_indent="    | "
        )


def _list(rows: Iterable[Detail]) -> Iterator[str]:
    for name, what in rows:
        yield from textwrap.wrap(
            f"{name + ':':<{_LABEL}}{printable(what)}",
            _WIDTH,
            initial_indent="    ",
            subsequent_indent=" " * (4 + _LABEL),
            break_on_hyphens=False,
        )
