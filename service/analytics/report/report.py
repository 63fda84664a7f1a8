"""A course's figures as one HTML page to read and print, without scripts or external resources."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape

import msgspec

from eventstore.readable_numbers import age
from service.analytics.figures import CourseFigures
from service.analytics.freshness import Freshness
from service.analytics.report.formatting import at_least, many
from service.analytics.report.sections import Section, sections_of
from service.html_page import HtmlPage

_PAGE = HtmlPage("service.analytics.report", "report")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a page.

    Attributes:
        titles: The titles of the course's experiences, by id.
    """

    figures: CourseFigures
    titles: Mapping[int, str]
    made_at: datetime


def page_of(report: Report) -> bytes:
    """The page of a report."""
    figures = report.figures
    return _PAGE.render(
        course=figures.course_id,
        first=figures.first,
        last=figures.last,
        notes=_notes(figures.freshness),
        facts=_facts(report),
        sections=_sections(report),
    )


def _facts(report: Report) -> str:
    totals, fresh = report.figures.totals, report.figures.freshness
    facts = (
        ("Learners", f"{totals.learners:,}"),
        ("Conversations", f"{totals.conversations:,}"),
        ("Messages", f"{totals.messages:,}"),
        ("Objectives covered", f"{totals.objectives_covered:,}"),
        ("Cost", at_least(totals.cost_microusd, totals.unpriced)),
        ("Of the log up to", f"position {fresh.position}, {_time(fresh.as_of)}"),
        ("Made", _time(report.made_at)),
    )
    return "".join(f"<div><dt>{escape(n)}</dt><dd>{escape(what)}</dd></div>" for n, what in facts)


def _notes(fresh: Freshness) -> str:
    return "".join(f'<p class="note" role="note">{escape(note)}</p>' for note in notes_of(fresh))


def notes_of(fresh: Freshness) -> Iterable[str]:
    """Warnings about the freshness of the figures."""
    if fresh.stopped:
        yield f"Stopped, and not up to date: {', '.join(fresh.stopped)}."
    if fresh.paused:
        yield f"Paused by an operator, and not up to date: {', '.join(fresh.paused)}."
    if fresh.lag_events:
        yield (
            f"Not all events are counted yet: the log has {many(fresh.lag_events, 'later event')}, "
            f"the first of them {age(fresh.lag_seconds)} old."
        )


def _sections(report: Report) -> str:
    totals = report.figures.totals
    if not (report.figures.funnels or totals.messages or totals.failed or totals.learners):
        return '<p class="empty">Nothing has happened in this course in these days.</p>'
    sections = sections_of(report.figures, report.titles)
    return "".join(_section(number, section) for number, section in enumerate(sections, 1))


def _section(number: int, section: Section) -> str:
    plot = section.plot() if section.plot and section.rows else ""
    figure = (
        f'<div class="plot" role="img" aria-label="{escape(section.title)}. '
        f'{escape(section.summary)}">{plot}</div>'
    )
    whole = ' class="whole"' if section.whole else ""
    return (
        f'<section{whole} aria-labelledby="s{number}">'
        f'<h2 id="s{number}">{escape(section.title)}</h2>'
        f"<p>{escape(section.summary)}</p>{figure if plot else ''}{_table(section)}</section>"
    )


def _table(section: Section) -> str:
    if not section.rows:
        return ""
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in section.heads)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    opened = "" if section.plot else " open"
    return (
        f"<details{opened}><summary>Numbers: {escape(section.title.lower())}</summary>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></details>"
    )


def _cell(value: object) -> str:
    if isinstance(value, int):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape('–' if value is None else str(value))}</td>"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
