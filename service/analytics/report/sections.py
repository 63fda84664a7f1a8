"""The sections of a report: each plot with its title, a summary in words, and its numbers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import msgspec

from service.analytics.figures import CourseFigures, Day, Objective
from service.analytics.report import plots
from service.analytics.report.formatting import (
    MICRO,
    amounts,
    at_least,
    dollars,
    labelled,
    many,
    named,
    or_dash,
    quantiles,
    seconds,
)
from service.analytics.report.periods import periods_of


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section.

    Attributes:
        summary: What the plot shows, in words.
        plot: Draws the plot; None for a section without one.
        heads: The column heads of the table of numbers.
        whole: Whether it takes the page's whole width.
    """

    title: str
    summary: str
    plot: Callable[[], str] | None
    heads: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]
    whole: bool = False


def sections_of(figures: CourseFigures, titles: Mapping[int, str]) -> Iterator[Section]:
    """All sections of a course's report.

    Args:
        titles: The titles of experiences, by id.
    """
    yield _messages(figures)
    yield _learners(figures)
    yield _funnels(figures, titles)
    yield _objectives(figures, titles)
    yield _durations(figures)
    yield _failures(figures)
    yield _costs(figures)
    yield _daily_cost(figures)
    yield _feedback(figures)
    yield _models(figures)


def _messages(figures: CourseFigures) -> Section:
    periods, totals = periods_of(figures.days), figures.totals
    values = [(str(d.day), d.messages) for d in periods.each]
    return Section(
        title=f"Messages a {periods.name}",
        summary=f"Learners sent {many(totals.messages, 'message')}. Answered: {totals.replies:,}; "
        f"turns that failed: {totals.failed:,}; stopped: {totals.cancelled:,}.{periods.note}",
        plot=partial(plots.over_time, values, "messages", periods.length),
        heads=(periods.head, "Messages", "Replies", "Failed", "Stopped"),
        rows=[
            (d.day, d.messages, d.replies, d.failed, d.cancelled) for d in periods.each if _busy(d)
        ],
    )


def _learners(figures: CourseFigures) -> Section:
    periods = periods_of(figures.days)
    values = [(str(d.day), d.learners) for d in periods.each]
    busiest = max(figures.days, key=lambda d: d.learners)
    return Section(
        title="Learners a day",
        summary=f"{many(figures.totals.learners, 'learner')} took part; the most on one day: "
        f"{busiest.learners:,}, on {busiest.day}.{periods.busiest}",
        plot=partial(plots.over_time, values, periods.learners, periods.length),
        heads=(periods.head, periods.learners.capitalize(), "Conversations"),
        rows=[(d.day, d.learners, d.conversations) for d in periods.each if _busy(d)],
    )


def _busy(day: Day) -> bool:
    return any((day.learners, day.messages, day.replies, day.failed, day.cost_microusd))


def _funnels(figures: CourseFigures, titles: Mapping[int, str]) -> Section:
    stages = (
        *(("opened", "opened"), ("replied", "replied to")),
        *(("met", "all objectives met"), ("completed", "completed")),
    )
    values = [
        (named(f.ai_experience_id, titles), label, getattr(f.conversations, name))
        for f in figures.funnels
        for name, label in stages
    ]
    opened, met = (
        sum(getattr(f.conversations, name) for f in figures.funnels) for name in ("opened", "met")
    )
    return Section(
        title="Stages of conversations",
        summary=f"{many(opened, 'conversation')} opened in these days; with all objectives met by "
        f"now: {met:,}. Completed means that it takes no more messages.",
        plot=partial(plots.staged, values, "conversations"),
        heads=("Experience", "", *(label.capitalize() for _, label in stages)),
        rows=[
            (named(f.ai_experience_id, titles), what, *(getattr(of, name) for name, _ in stages))
            for f in figures.funnels
            for what, of in (("conversations", f.conversations), ("learners", f.learners))
        ],
    )


def _objectives(figures: CourseFigures, titles: Mapping[int, str]) -> Section:
    objectives = figures.objectives
    total, covered = sum(o.conversations for o in objectives), sum(o.covered for o in objectives)
    values = [
        (_short(o, titles), o.share, f"{o.covered:,} of {o.conversations:,}") for o in objectives
    ]
    return Section(
        title="Objectives covered",
        summary=f"Covered: {covered:,} of {many(total, 'objective')}"
        f"{f', {covered / total:.0%}' if total else ''}. A bar is one objective of a version of "
        "an experience, by its number: in how many of its conversations it was covered.",
        plot=partial(plots.across, values, "share of conversations", share=True),
        heads=(
            "Experience",
            "Version",
            "Objective",
            "Conversations",
            "Covered",
            "Share",
            "At turn",
        ),
        rows=[_objective_row(o, titles) for o in objectives],
    )


def _objective_row(o: Objective, titles: Mapping[int, str]) -> tuple[object, ...]:
    return (
        *(named(o.ai_experience_id, titles), o.version, o.objective, o.conversations),
        *(o.covered, f"{o.share:.0%}", or_dash(o.median_turn, "{:g}")),
    )


def _short(objective: Objective, titles: Mapping[int, str]) -> str:
    """An objective in few words, to leave room for its bar."""
    name = named(objective.ai_experience_id, titles, 30)
    return f"{name}, v{objective.version}, {objective.objective}"


def _durations(figures: CourseFigures) -> Section:
    latency = figures.latency
    values = labelled(latency.durations, lambda ms: f"{ms / 1000:g}", "s")
    return Section(
        title="Time to the whole answer",
        summary=f"{many(latency.turns, 'answer')}: {quantiles(latency.duration_ms, seconds)}. "
        f"First words: {quantiles(latency.first_token_ms, seconds)}.",
        plot=partial(plots.in_bins, values, "", "answers"),
        heads=("Time", "Answers"),
        rows=values,
    )


def _failures(figures: CourseFigures) -> Section:
    unanswered = [o for o in figures.outcomes if o.outcome in ("failed", "cancelled")]
    unanswered.sort(key=lambda o: -o.turns)
    values = [
        (f"{o.kind}: {o.code or o.outcome}".replace("_", " "), o.turns, f"{o.turns:,}")
        for o in unanswered
    ]
    total = sum(o.turns for o in figures.outcomes)
    lost = sum(o.turns for o in unanswered)
    retries = many(sum(o.retries for o in figures.outcomes), "time")
    takeovers = many(sum(o.takeovers for o in figures.outcomes), "time")
    return Section(
        title="Turns without an answer",
        summary=f"{lost:,} of {many(total, 'turn')}{f', {lost / total:.1%}' if total else ''}, "
        f"by the reason for their failure or stop. Learners asked again {retries}; another process "
        f"took a turn over {takeovers}.",
        plot=partial(plots.across, values, "turns"),
        heads=("Kind", "Outcome", "Code", "Turns", "Retries", "Takeovers"),
        rows=[
            (o.kind, o.outcome, o.code or "–", o.turns, o.retries, o.takeovers)
            for o in figures.outcomes
        ],
    )


def _costs(figures: CourseFigures) -> Section:
    costs = figures.costs
    values = labelled(costs.costs, lambda microusd: f"{microusd / MICRO * 100:g}", "¢")
    return Section(
        title="Cost of a conversation",
        summary=f"{many(costs.conversations, 'conversation')} of which all costs are known: "
        f"{amounts(costs.cost_microusd)}.",
        plot=partial(plots.in_bins, values, "", "conversations"),
        heads=("Cost", "Conversations"),
        rows=values,
    )


def _daily_cost(figures: CourseFigures) -> Section:
    periods, totals = periods_of(figures.days), figures.totals
    values = [(str(d.day), d.cost_microusd / MICRO) for d in periods.each]
    unknown = f"; {many(totals.unpriced, 'cost')} not known" if totals.unpriced else ""
    return Section(
        title=f"Cost a {periods.name}",
        summary=f"{at_least(totals.cost_microusd, totals.unpriced)} in all{unknown}.{periods.note}",
        plot=partial(plots.over_time, values, "US $", periods.length),
        heads=(periods.head, "Cost", "Not known"),
        rows=[(d.day, dollars(d.cost_microusd), d.unpriced) for d in periods.each if _busy(d)],
    )


def _feedback(figures: CourseFigures) -> Section:
    votes = figures.feedback
    values = [
        ("learners", "liked", votes.learners_liked),
        ("learners", "disliked", votes.learners_disliked),
        ("others", "liked", votes.liked - votes.learners_liked),
        ("others", "disliked", votes.disliked - votes.learners_disliked),
    ]
    return Section(
        title="Feedback",
        summary=f"{many(votes.liked + votes.disliked, 'vote')} on what the model said: "
        f"{votes.liked:,} liked, {votes.disliked:,} disliked; {votes.withdrawn:,} taken back.",
        plot=partial(plots.staged, values, "votes") if votes.liked or votes.disliked else None,
        heads=("Who", "Vote", "Votes"),
        rows=values,
    )


def _models(figures: CourseFigures) -> Section:
    """The models, as a table without a plot: tokens and costs have different units."""
    return Section(
        title="Models",
        summary="The purposes of each model, the tokens that it read and wrote, and its cost.",
        plot=None,
        heads=("Model", "For", "Read", "From cache", "Written", "Cost", "Not known"),
        rows=[
            (
                *(m.model, m.purpose),
                (m.input_tokens or 0) + (m.cache_creation_input_tokens or 0),
                *(m.cache_read_input_tokens, m.output_tokens, dollars(m.cost_microusd)),
                m.unpriced,
            )
            for m in figures.models
        ],
        whole=True,
    )
