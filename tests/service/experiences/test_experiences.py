"""Experiences: recorded as events, read at any version, remembered."""

import asyncio

import msgspec
import pytest

from eventstore.connections import AccountPool
from eventstore.envelope import Actor, Metadata
from eventstore.errors import AppendRefused
from eventstore.experience_events import stream_of_experience
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from service.errors import NotFound
from service.experiences.experiences import ExperienceDraft, Experiences, field_fault, objectives_of
from service.model.interface import Scenario

Parts = tuple[EventLog, AccountPool, Notifier]
TEACHER = Metadata(actor=Actor(1, "teacher"))
DRAFT = ExperienceDraft(
    title="Tides",
    description="At the sea",
    facts="The Moon",
    learning_objective="Ask\n\n  Listen  \r\n",
    pedagogical_guidance="Be kind",
)


@pytest.mark.parametrize(
    ("text", "objectives"),
    [
        ("Ask", ("Ask",)),
        ("Ask\nListen", ("Ask", "Listen")),
        ("\r\n  Ask \r\n\r\n\tListen\n\n", ("Ask", "Listen")),
        ("", ()),
        (" \n\t\n", ()),
    ],
)
def test_objectives_stand_one_a_line(text: str, objectives: tuple[str, ...]) -> None:
    assert objectives_of(text) == objectives


async def test_an_experience_is_read_as_it_was_recorded(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    experiences = Experiences(log, pool)
    experience_id = (await experiences.create(1, 7, DRAFT, TEACHER)).id
    experience = await experiences.at_version(1, experience_id, 1)
    assert (experience.id, experience.course_id, experience.version) == (experience_id, 7, 1)
    assert experience.scenario == Scenario(
        title="Tides",
        description="At the sea",
        facts="The Moon",
        objectives=("Ask", "Listen"),
        pedagogical_guidance="Be kind",
    )
    (recorded,) = await log.read_stream(1, stream_of_experience(experience_id))
    assert recorded.metadata.actor == Actor(1, "teacher")
    assert await pool.fetchval(1, "SELECT workflow_state FROM read.experiences") == "unpublished"


async def test_experiences_made_at_once_get_ids_of_their_own(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    experiences = Experiences(log, pool)
    made = await asyncio.gather(*(experiences.create(1, 7, DRAFT, TEACHER) for _ in range(20)))
    assert sorted(one.id for one in made) == list(range(1, 21))


@pytest.mark.parametrize(("account", "number", "version"), [(1, 1, 2), (1, 2, 1), (2, 1, 1)])
async def test_a_version_that_there_is_not_is_not_found(
    account: int, number: int, version: int, log_parts: Parts
) -> None:
    log, pool, _ = log_parts
    experiences = Experiences(log, pool)
    await experiences.create(1, 7, DRAFT, TEACHER)
    with pytest.raises(NotFound):
        await experiences.at_version(account, number, version)


async def test_a_version_is_read_from_the_log_once(
    log_parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never changes. What is remembered is bounded: the oldest is read again."""
    log, pool, _ = log_parts
    experiences = Experiences(log, pool, capacity=2)
    for _ in range(3):
        await experiences.create(1, 7, DRAFT, TEACHER)
    reads: list[str] = []
    read_stream = log.read_stream

    async def counted(account_id: int, stream: str, *, after: int, upto: int) -> object:
        reads.append(stream)
        return await read_stream(account_id, stream, after=after, upto=upto)

    monkeypatch.setattr(log, "read_stream", counted)
    for number in (1, 2, 2, 3, 3, 1):
        assert (await experiences.at_version(1, number, 1)).id == number
    assert reads == ["experience-1", "experience-2", "experience-3", "experience-1"]


async def test_a_text_that_cannot_be_stored_is_refused(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    draft = msgspec.structs.replace(DRAFT, facts="a\0b")
    with pytest.raises(AppendRefused):
        await Experiences(log, pool).create(1, 7, draft, TEACHER)
    assert await log.head(1) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"title": None},
        {"facts": 1},
        {"workflow_state": "deleted"},
        {"unknown": "x"},
    ],
)
def test_a_draft_that_is_not_whole_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.structs.asdict(DRAFT) | change, ExperienceDraft)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("title", "", "is required"),
        ("title", " \n", "is required"),
        ("title", "\u3164\u200b", "is required"),
        ("title", "x" * 256, "must be 255 characters or fewer"),
        ("title", 7, "must be text"),
        ("learning_objective", " ", "is required"),
        ("pedagogical_guidance", "", "is required"),
        ("description", "\ud83c", "must not contain lone surrogates"),
        ("workflow_state", "deleted", "must be published or unpublished"),
        ("description", "", None),
        ("title", "x" * 255, None),
    ],
)
def test_a_field_that_cannot_have_a_value_says_why(
    field: str, value: object, reason: str | None
) -> None:
    assert field_fault(field, value) == reason
