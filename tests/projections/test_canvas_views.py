"""The views of edited experiences, votes and counted requests."""

from typing import Any

import msgspec

from eventstore.connections import Connection
from eventstore.dialogue_events import ConversationStarted, FeedbackGiven
from eventstore.envelope import Actor, Metadata
from eventstore.log import EventLog
from tests.eventstore.building import (
    Learner,
    ModelMessage,
    Step,
    append,
    append_steps,
    dialogue,
    experience_created,
    experience_deleted,
    experience_edited,
)

Rows = list[tuple[Any, ...]]
VOTES = "user_id, vote, feedback_message"


async def view_rows(connection: Connection, view: str, columns: str) -> Rows:
    rows = await connection.fetch(f"SELECT {columns} FROM read.{view} ORDER BY {columns}")
    return [tuple(row) for row in rows]


async def opened(log: EventLog, learner: Learner) -> ModelMessage:
    """The opening of a new conversation."""
    await append_steps(log, dialogue(learner, 0))
    return learner.replies[-1]


def together(*steps: Step) -> Step:
    """One append with several steps."""
    return Step(steps[0].stream, tuple(event for step in steps for event in step.events))


class TestExperiences:
    COLUMNS = "experience_id, version, title, description, workflow_state"

    async def test_an_edit_replaces_the_fields_and_counts_the_version(
        self, log: EventLog, owner: Connection
    ) -> None:
        await append_steps(log, [experience_created(3), experience_created(4)])
        (edited,) = await append_steps(log, [experience_edited(3, title="Summer")])
        assert await view_rows(owner, "experiences", self.COLUMNS) == [
            (3, 2, "Summer", "In a cabin.", "published"),
            (4, 1, "Seasons", "On an observatory.", "published"),
        ]
        times = await view_rows(owner, "experiences", "experience_id, created_at, updated_at")
        (_, created, updated), _ = times
        assert created < updated == edited.recorded_at

    async def test_the_last_of_several_edits_in_one_append_counts(
        self, log: EventLog, owner: Connection
    ) -> None:
        edits = [experience_edited(3, title=f"Title {n}") for n in range(5)]
        whole = together(experience_created(3), *edits)
        await append_steps(log, [whole])
        assert await view_rows(owner, "experiences", "version, title") == [(6, "Title 4")]

    async def test_a_deleted_experience_keeps_its_texts_and_its_version(
        self, log: EventLog, owner: Connection
    ) -> None:
        """Its version is that of its texts, to which conversations refer."""
        whole = together(
            experience_edited(3, title="Last", workflow_state="unpublished"), experience_deleted(3)
        )
        await append_steps(log, [experience_created(3), whole])
        assert await view_rows(owner, "experiences", "version, title, workflow_state") == [
            (2, "Last", "deleted")
        ]


class TestMessageFeedback:
    async def test_a_vote_shows_with_its_words(self, log: EventLog, owner: Connection) -> None:
        learner = Learner()
        message = await opened(log, learner)
        (event,) = await append_steps(log, [learner.gets_feedback(message, "liked", "Nice")])
        given = event.event
        assert isinstance(given, FeedbackGiven)
        columns = "conversation_id, user_id, message_id::text, feedback_id::text, vote"
        assert await view_rows(
            owner, "message_feedback", f"{columns}, feedback_message, created_at"
        ) == [
            (
                *(message.conversation_id, 101, message.message_id, given.feedback_id),
                *("liked", "Nice", event.recorded_at),
            )
        ]

    async def test_a_new_vote_replaces_that_of_the_same_user_on_the_same_message(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        first = await opened(log, learner)
        await append_steps(log, [learner.says(), learner.is_answered()])
        for message, vote, voter in (
            (first, "liked", 101),
            (first, "disliked", 1),
            (learner.replies[-1], "liked", 101),
            (first, "disliked", 101),
        ):
            await append_steps(log, [learner.gets_feedback(message, vote, voter=voter)])  # type: ignore[arg-type]
        columns = "user_id, message_id::text, vote"
        assert await view_rows(owner, "message_feedback", columns) == sorted(
            [
                (1, first.message_id, "disliked"),
                (101, first.message_id, "disliked"),
                (101, learner.replies[-1].message_id, "liked"),
            ]
        )

    async def test_a_withdrawn_vote_is_gone_and_may_come_again(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        message = await opened(log, learner)
        await append_steps(log, [learner.gets_feedback(message)])
        vote = learner.votes[message.message_id, 101]
        await append_steps(log, [learner.loses_feedback(vote)])
        assert await view_rows(owner, "message_feedback", VOTES) == []
        await append_steps(log, [learner.gets_feedback(message, "disliked")])
        assert await view_rows(owner, "message_feedback", VOTES) == [(101, "disliked", None)]

    async def test_the_events_of_one_append_count_in_their_order(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        message = await opened(log, learner)
        given = learner.gets_feedback(message, "liked", "First")
        gone = learner.loses_feedback(learner.votes[message.message_id, 101])
        again = learner.gets_feedback(message, "disliked", "Second")
        await append_steps(log, [together(given, gone, again)])
        assert await view_rows(owner, "message_feedback", VOTES) == [(101, "disliked", "Second")]
        last = learner.gets_feedback(message, "liked")
        gone = learner.loses_feedback(learner.votes[message.message_id, 101])
        await append_steps(log, [together(last, gone)])
        assert await view_rows(owner, "message_feedback", VOTES) == []

    async def test_votes_stay_when_the_conversation_is_over(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        message = await opened(log, learner)
        await append_steps(log, [learner.gets_feedback(message), learner.deletes()])
        await append_steps(log, [learner.gets_feedback(message, "disliked", voter=1)])
        assert await view_rows(owner, "message_feedback", VOTES) == [
            (1, "disliked", None),
            (101, "liked", None),
        ]

    async def test_a_vote_changes_the_conversations_visible_revision(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner, other = Learner(), Learner(102, conversation_ids=iter([7]))
        message, _ = await opened(log, learner), await opened(log, other)
        (given,) = await append_steps(log, [learner.gets_feedback(message)])
        columns = "conversation_id, shown_revision"
        assert await view_rows(owner, "conversations", columns) == [(1, given.revision), (7, 2)]
        vote = learner.votes[message.message_id, 101]
        (withdrawn,) = await append_steps(log, [learner.loses_feedback(vote)])
        assert await view_rows(owner, "conversations", columns) == [(1, withdrawn.revision), (7, 2)]


class TestRequestCounts:
    COLUMNS = "user_id, kind, requests"

    async def test_requests_are_counted_by_user_and_kind(
        self, log: EventLog, owner: Connection
    ) -> None:
        """The model's events and outcomes of requests are not counted."""
        learner = Learner(102)
        by_model = Metadata(actor=Actor(None, "model"))
        by_learner = Metadata(actor=Actor(102, "learner"))
        by_teacher = Metadata(actor=Actor(1, "teacher"))

        async def happens(step: Step, metadata: Metadata) -> None:
            await append(log, step.stream, *step.events, metadata=metadata)

        for _ in range(2):
            await happens(learner.asks_to_open(), by_learner)
            await happens(learner.opening_fails(), by_model)
        await happens(learner.asks_to_open(), by_learner)
        await happens(learner.opens(), by_model)
        await happens(learner.says(), by_learner)
        await happens(learner.is_not_answered(), by_model)
        asked, done = learner.is_evaluated()
        await happens(asked, by_teacher)
        await happens(done, by_model)
        assert await view_rows(owner, "request_counts", self.COLUMNS) == [
            (1, "evaluation", 1),
            (102, "create", 3),
            (102, "message", 1),
        ]

    async def test_several_requests_of_one_append_all_count(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner(101)
        await append_steps(log, [learner.asks_to_open(), learner.opens()])
        exchanges = [learner.says(), learner.is_answered(), learner.says(), learner.is_answered()]
        await append_steps(log, [together(*exchanges)])
        assert (101, "message", 2) in await view_rows(owner, "request_counts", self.COLUMNS)

    async def test_the_day_is_that_of_the_record_in_utc(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner(101)
        asked, *_ = await append_steps(log, [learner.asks_to_open()])
        ((day,),) = await view_rows(owner, "request_counts", "day")
        assert day == asked.recorded_at.date()


async def test_a_conversation_keeps_the_version_that_it_began_with(
    log: EventLog, owner: Connection
) -> None:
    learner = Learner()
    await append_steps(log, [experience_created(), *dialogue(learner, 0), experience_edited()])
    assert await view_rows(owner, "conversations", "experience_version") == [(1,)]
    asked, step = learner.asks_to_open(), learner.opens()
    newer = [
        msgspec.structs.replace(new, event=msgspec.structs.replace(new.event, experience_version=2))
        if isinstance(new.event, ConversationStarted)
        else new
        for new in step.events
    ]
    await append_steps(log, [asked, Step(step.stream, tuple(newer))])
    assert await view_rows(owner, "conversations", "experience_version") == [(1,), (2,)]
