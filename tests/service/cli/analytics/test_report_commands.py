"""`colloquy analytics report`: one page with a course's figures, to read anywhere."""

import os
import re
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from eventstore.connections import AccountPool, close_pool, connect, open_pool
from eventstore.notifier import Notifier
from eventstore.running_log import running_log
from service.analytics.figures import CourseFigures, Day, Objective, Outcome
from service.analytics.figures_queries import Days, FiguresReader
from service.analytics.report.report import Report, page_of
from service.cli.output_file import write_whole
from service.errors import ServiceError
from service.identity.accounts import create_account
from service.identity.roster import Enrollment, import_roster
from tests.clients.programs import program
from tests.clients.programs import run as run_program
from tests.disks import full_beyond
from tests.eventstore.building import Learner, append_steps, experience_created
from tests.projections.viewing import catch_up
from tests.running import environment_of
from tests.service.cli.command_runs import Run, now, refused

TITLE = 'A <b>"tide"</b> & more'
LABEL = re.compile(r">([^<>]+)</text>")
INK = re.compile(r'<text [^>]*fill="currentColor"[^>]*>([^<>]+)</text>')
BAR = re.compile(r'aria-label="(\d{4}-\d\d-\d\d): (\d+)"[^>]* d="M[\d.,]+h([\d.]+)v')
XMLNS = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")
LOADING = {"script", "link", "img", "iframe", "object", "embed", "image", "use", "a", "form"}


class Page(HTMLParser):
    """Elements, attributes that load or run something, table cells, and words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.loaded: list[str] = []
        self.rows: list[list[str]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.loaded += [
            f"{tag} {name}={value}"
            for name, value in attrs
            if name in ("src", "srcset", "href", "xlink:href", "style") or name.startswith("on")
        ]
        if tag == "tr":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        self.words += data
        if self.elements and self.elements[-1] == "td" and data.strip():
            self.rows[-1].append(data)


@pytest.fixture
def taught(database_url: str) -> str:
    """A database in which course 1 has been taught, and course 2 has not."""
    now(lambda: _teach(database_url))
    return database_url


async def _teach(url: str, title: str = TITLE) -> None:
    owner = await connect(url)
    rows = [
        Enrollment(course_id=course, user_id=101, name="Ada", role="learner", status="active")
        for course in (1, 2)
    ]
    await import_roster(owner, 1, rows)
    await owner.close()
    learner, failing = Learner(101), Learner(102)
    steps = [
        experience_created(title=title),
        *(learner.asks_to_open(), learner.opens(), learner.says(), learner.is_answered()),
        *(learner.says(), learner.is_not_answered("model_refused")),
        *(failing.asks_to_open(), failing.opening_fails("model_timeout")),
    ]
    async with running_log(url) as (log, _, notifier):
        await append_steps(log, steps)
        await _catch_up(url, notifier)


async def _catch_up(url: str, notifier: Notifier) -> None:
    workers = await open_pool(url, "colloquy_worker", 2)
    try:
        await catch_up(workers, notifier)
    finally:
        await close_pool(workers)


async def _figures(url: str, days: Days) -> CourseFigures:
    pool = await open_pool(url, "colloquy_service", 2)
    try:
        return await FiguresReader(AccountPool(pool)).of_course(1, 1, days)
    finally:
        await close_pool(pool)


def lately() -> Days:
    """Today and yesterday, which was today when the course was taught if a day ended since."""
    today = datetime.now(UTC).date()
    return Days(today - timedelta(days=1), today)


def page_with(url: str, **changes: Any) -> str:
    """The page of course 1, with other figures in the place of its own."""
    figures = replace(now(lambda: _figures(url, lately())), **changes)
    return page_of(Report(figures=figures, titles={}, made_at=datetime.now(UTC))).decode()


def made(on_database: Run, out: Path, *more: object) -> Page:
    ended = on_database("analytics", "report", "--course", 1, "--out", out, *more)
    assert ended.code == 0, ended
    return Page(out.read_text("utf-8"))


def test_the_page_has_the_figures_that_the_api_answers_with(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    page = made(on_database, tmp_path / "course.html")
    figures = now(lambda: _figures(taught, lately()))
    totals = figures.totals
    assert (totals.learners, totals.conversations, totals.messages, totals.replies) == (2, 1, 2, 1)
    busy = [day for day in figures.days if day.messages]
    for day in busy:
        numbers = (day.messages, day.replies, day.failed, day.cancelled)
        assert [str(day.day), *map(str, numbers)] in page.rows
    for outcome in figures.outcomes:
        counts = (outcome.turns, outcome.retries, outcome.takeovers)
        expected = (outcome.kind, outcome.outcome, outcome.code or "–", *counts)
        assert [*map(str, expected)] in page.rows
    for model in figures.models:
        assert [model.model, model.purpose] in [row[:2] for row in page.rows]
    assert "Learners sent 2 messages. Answered: 1; turns that failed: 2; stopped: " in page.words
    assert f"position {figures.freshness.position}" in page.words
    assert "KindOutcomeCodeTurnsRetriesTakeovers" in page.words


def test_the_page_loads_and_runs_nothing(on_database: Run, taught: str, tmp_path: Path) -> None:
    file = tmp_path / "course.html"
    page = made(on_database, file)
    text = file.read_text("utf-8")
    assert page.elements.count("svg") >= 6
    assert not LOADING & set(page.elements)
    assert page.loaded == []
    assert "url(" not in text
    assert "@import" not in text
    for known in XMLNS:
        text = text.replace(f'="{known}"', "")
    assert "://" not in text


def test_each_plot_has_a_title_a_summary_and_its_numbers(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    page = made(on_database, tmp_path / "course.html")
    parts = page.elements.count("section")
    assert page.elements.count("h2") == parts >= 9
    assert page.elements.count("details") >= page.elements.count("svg")


def test_a_partly_unknown_cost_is_shown_as_a_lower_bound(
    taught: str,
) -> None:
    totals = now(lambda: _figures(taught, lately())).totals
    for unpriced, printed in ((0, "$2.64"), (3, "≥ $2.64")):
        changed = replace(totals, cost_microusd=2_640_000, unpriced=unpriced)
        page = page_with(taught, totals=changed)
        assert f"<dt>Cost</dt><dd>{printed}</dd>" in page


def test_bars_across_end_with_what_they_stand_for(taught: str) -> None:
    objectives = (_objective(1, 28, 7), _objective(2, 3, 0), _objective(3, 1_204, 1_204))
    outcomes = (Outcome("message", "failed", "model_refused", 2_345, 4, 1),)
    page = page_with(taught, objectives=objectives, outcomes=outcomes)
    assert {"7 of 28", "0 of 3", "1,204 of 1,204", "2,345"} <= set(INK.findall(page))
    for objective in objectives:
        row = (objective.conversations, objective.covered)
        assert [f"{number:,}" for number in row] in [printed[3:5] for printed in Page(page).rows]


def _objective(number: int, conversations: int, covered: int) -> Objective:
    return Objective(
        ai_experience_id=1,
        version=1,
        objective=number,
        conversations=conversations,
        covered=covered,
        share=covered / conversations,
        median_turn=None,
    )


@pytest.mark.parametrize(("days", "bars"), [(1, 1), (126, 126), (127, 19), (366, 53)])
def test_the_bars_of_long_spans_are_weeks_wide_enough_to_see(
    taught: str, days: int, bars: int
) -> None:
    monday = date(2026, 1, 5)
    each = [_day(monday + timedelta(number), number + 1) for number in range(days)]
    page = page_with(taught, days=tuple(each), first=each[0].day, last=each[-1].day)
    unit = "day" if bars == days else "week"
    assert f"Messages a {unit}</h2>" in page
    assert f"Cost a {unit}</h2>" in page
    drawn = BAR.findall(page)
    messages, learners = drawn[:bars], drawn[bars : 2 * bars]
    assert (messages[0][0], sum(int(number) for _, number, _ in messages)) == ("2026-01-05", days)
    assert max(int(number) for _, number, _ in learners) == days
    assert min(float(width) for _, _, width in drawn) > 2
    rows = [tuple(row[:2]) for row in Page(page).rows]
    for day, number, _ in messages + learners:
        assert (day, number) in rows


def _day(day: date, learners: int) -> Day:
    return Day(
        day=day,
        learners=learners,
        messages=1,
        **dict.fromkeys(("conversations", "replies", "failed", "cancelled"), 0),
        **dict.fromkeys(("objectives_covered", "cost_microusd", "unpriced"), 0),
    )


def test_titles_are_escaped_and_no_other_text_is_shown(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    file = tmp_path / "course.html"
    page = made(on_database, file)
    assert "b" not in page.elements
    assert f"1 {TITLE}" in page.words
    assert [label for label in LABEL.findall(file.read_text("utf-8")) if "&lt;b&gt;" in label]
    assert escape("<b>", quote=False) in file.read_text("utf-8")


def test_titles_with_control_characters_end_no_report(
    on_database: Run, database_url: str, tmp_path: Path
) -> None:
    """Stored titles may have them; SVG cannot represent them."""
    now(lambda: _teach(database_url, "a\x01b\x1bc\x0bd\x7fe\uffff"))
    file = tmp_path / "course.html"
    page = made(on_database, file)
    assert "1 a\ufffdb\ufffdc\ufffdd\ufffde\ufffd" in page.words


def test_a_page_that_finds_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "course.html"
    file.write_bytes(b"last week's")
    file.chmod(0o640)
    with full_beyond(10), pytest.raises(ServiceError, match=r"course\.html: File too large"):
        write_whole(file, b"this week's, which is longer")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [
        ("course.html", b"last week's")
    ]
    write_whole(file, b"this week's")
    assert (file.read_bytes(), stat.S_IMODE(file.stat().st_mode)) == (b"this week's", 0o640)


def test_a_page_can_go_to_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as threads:
        read = threads.submit(pipe.read_bytes)
        write_whole(pipe, b"this week's")
        assert read.result(30) == b"this week's"
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_course_in_which_nothing_happened_has_a_page_that_says_so(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    for more in (("--course", 2), ("--from", "2001-01-01", "--to", "2001-02-01")):
        page = made(on_database, tmp_path / "course.html", *more)
        assert "Nothing has happened in this course in these days." in page.words
        assert "svg" not in page.elements


def test_the_days_are_those_asked_for(on_database: Run, taught: str, tmp_path: Path) -> None:
    page = made(on_database, tmp_path / "c.html", "--from", "2026-01-01", "--to", "2026-01-02")
    assert "2026-01-01 to 2026-01-02, in UTC" in page.words


def test_a_course_that_is_not_there_is_refused_in_words(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    out = tmp_path / "course.html"
    ask = ("analytics", "report", "--out", out)
    second = now(lambda: _second(taught))
    assert refused(on_database(*ask, "--course", 9)) == "there is no course 9 in account 1"
    foreign = refused(on_database(*ask, "--course", 1, "--account", second))
    assert foreign == f"there is no course 1 in account {second}"
    assert "there is no account 77" in refused(on_database(*ask, "--course", 1, "--account", 77))
    days = ("--course", 1, "--from", "2026-01-02", "--to", "2026-01-01")
    assert "must be 1 to 366 days" in refused(on_database(*ask, *days))
    assert not out.exists()
    nowhere = ("analytics", "report", "--course", 1, "--out", tmp_path / "none" / "c.html")
    assert refused(on_database(*nowhere)).endswith("c.html: No such file or directory")


async def _second(url: str) -> int:
    owner = await connect(url)
    try:
        return await create_account(owner, "Another institution")
    finally:
        await owner.close()


def test_a_page_that_is_not_up_to_date_says_so(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    now(lambda: _pause(taught))
    page = made(on_database, tmp_path / "course.html")
    assert "Paused by an operator, and not up to date: turn_facts." in page.words
    assert "Stopped, and not up to date: feedback_facts." in page.words
    assert "Not all events are counted yet: the log has 1 later event" in page.words


async def _pause(url: str) -> None:
    owner = await connect(url)
    await owner.execute("INSERT INTO projection_pauses (name) VALUES ('turn_facts')")
    await owner.execute(
        "UPDATE projection_checkpoints SET error = 'x', error_position = 1, error_at = now()"
        " WHERE name = 'feedback_facts' AND account_id = 1"
    )
    await owner.close()
    async with running_log(url) as (log, _, _):
        await append_steps(log, [experience_created(2)])


@pytest.mark.chromium
def test_a_browser_shows_it_without_a_complaint(
    on_database: Run, taught: str, tmp_path: Path
) -> None:
    file = tmp_path / "course.html"
    made(on_database, file)
    command = (
        *(program("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--enable-logging=stderr", "--disable-dev-shm-usage"),
        *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()),
    )
    out = now(lambda: run_program(*command, folder=tmp_path, environment=environment_of({})))
    assert "CONSOLE" not in out
    assert "Messages a day" in out
    assert out.count("</svg>") >= 6
