"""A replay as one HTML page to read and print, without scripts or external resources."""

from collections.abc import Iterable
from html import escape
from typing import Any

from service.audit.replay_details import Detail, ShownMessage, details, who, with_states
from service.audit.replay_steps import Step
from service.audit.replays import Replayed
from service.html_page import HtmlPage

PAGE = HtmlPage("service.audit", "replay_page")


def page_of(replayed: Replayed) -> bytes:
    """The page of a replay."""
    return PAGE.render(
        number=replayed.conversation_id,
        facts=_list(facts_of(replayed)),
        seen=_seen(replayed),
        kept=_experience(replayed.experience),
        steps="".join(_step(step) for step in replayed.steps),
    )


def facts_of(replayed: Replayed) -> Iterable[Detail]:
    """The facts at the head of a replay."""
    name = f" ({replayed.user_name})" if replayed.user_name else ""
    when = f", {replayed.recorded_at:%Y-%m-%d %H:%M:%S} UTC" if replayed.recorded_at else ""
    yield "At", f"position {replayed.at} of the log{when}"
    yield "Learner", f"user {replayed.user_id}{name}"
    yield "Course", str(replayed.course_id)
    version = f", kept in version {replayed.experience_version}"
    yield "Experience", f"{replayed.experience_id}{version}"
    if replayed.seen:
        yield "State", str(replayed.seen["workflow_state"])
        if progress := replayed.seen["progress"]:
            yield "Objectives covered", f"{progress['current']} of {progress['total']}"


def _seen(replayed: Replayed) -> str:
    if replayed.seen is None:
        return "<p>There was nothing to see: the conversation had not begun.</p>"
    return f"<ol>{''.join(_message(one) for one in with_states(replayed.seen['messages']))}</ol>"


def _message(shown: ShownMessage) -> str:
    message, state = shown
    votes = "".join(
        f'<p class="vote">{escape(vote["vote"])} {escape(vote["feedback_message"] or "")}</p>'
        for vote in message["feedback"]
    )
    who_and_when = " · ".join([message["role"], message["created_at"], *([state] if state else [])])
    return (
        f'<li class="{"model" if message["role"] == "Assistant" else "learner"}">'
        f'<p class="who">{escape(who_and_when)}</p>'
        f"{_text(message['text'])}{votes}</li>"
    )


def _experience(experience: dict[str, Any] | None) -> str:
    if experience is None:
        return "<p>It is not in the log.</p>"
    names = ("title", "learning_objective", "pedagogical_guidance", "facts")
    return _list((name.replace("_", " ").capitalize(), str(experience[name])) for name in names)


def _step(step: Step) -> str:
    words = "shown, then withdrawn" if step.withdrawn else "not shown"
    unseen = "" if step.shown else f'<span class="unseen">{words}</span>'
    return (
        f'<article class="{"seen" if step.shown else "behind"}"><h3>{escape(step.title)}{unseen}'
        f'</h3><p class="who">{step.position} · {step.recorded_at:%Y-%m-%d %H:%M:%S} UTC · '
        f"{escape(who(step))} · <code>{escape(step.type)}</code></p>"
        f"{_text(step.text)}{_list(details(step))}</article>"
    )


def _text(text: str | None) -> str:
    return "" if text is None else f'<p class="text">{escape(text)}</p>'


def _list(entries: Iterable[Detail]) -> str:
    rows = "".join(f"<dt>{escape(label)}</dt><dd>{escape(value)}</dd>" for label, value in entries)
    return f"<dl>{rows}</dl>" if rows else ""
