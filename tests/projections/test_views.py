"""The views of successful and failed dialogues."""

import random
from typing import Any

import msgspec
import pytest

from eventstore.connections import Connection
from eventstore.envelope import RecordedEvent
from eventstore.log import EventLog
from service.dialogue.state import fold
from tests.eventstore.building import (
    DEADLINE,
    OWNER,
    Learner,
    Step,
    append,
    append_steps,
    dialogue,
    experience_created,
)


async def view_rows(
    connection: Connection, view: str, columns: str = "*", order: str = "1"
) -> list[tuple[Any, ...]]:
    """The columns with these numbers of the view's rows."""
    rows = await connection.fetch(f"SELECT {columns} FROM read.{view} ORDER BY {order}")
    return [tuple(row) for row in rows]


async def conversation(connection: Connection, conversation_id: int = 1) -> list[tuple[str, str]]:
    """The learner's view of a conversation: roles and texts."""
    rows = await connection.fetch(
        "SELECT role, text FROM read.conversation_messages"
        " WHERE account_id = 1 AND conversation_id = $1 ORDER BY position, ordinal",
        conversation_id,
    )
    return [(row["role"], row["text"]) for row in rows]


MESSAGES_OF = """
SELECT message_id::text, turn_id::text, role, text, state, code, retryable, revision
  FROM read.conversation_messages WHERE conversation_id = $1 ORDER BY position, ordinal
"""


async def states(owner: Connection) -> list[tuple[Any, ...]]:
    """Text, state, code and whether to retry of what came after the opening."""
    rows = await owner.fetch(
        "SELECT text, state, code, retryable FROM read.conversation_messages"
        " ORDER BY position, ordinal OFFSET 2"
    )
    return [tuple(row) for row in rows]


async def happened(log: EventLog, *steps: Step) -> list[RecordedEvent]:
    return await append_steps(log, steps)


OPENING = [("User", "Let us begin."), ("Assistant", "What do you know?")]


class TestConversationMessages:
    async def test_a_dialogue_shows_the_prompt_the_opening_and_what_was_said(
        self, log: EventLog, owner: Connection
    ) -> None:
        await happened(log, *dialogue(Learner(), 1))
        said = [("User", "Because it is cold."), ("Assistant", "And why is that?")]
        assert await conversation(owner) == [*OPENING, *said]

    async def test_a_message_is_visible_before_its_reply(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner, 0), learner.says("Is it?"))
        assert await conversation(owner) == [*OPENING, ("User", "Is it?")]

    async def test_a_failed_turn_leaves_no_trace_and_the_learner_can_say_it_again(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner, 0), learner.says("Is it?"))
        await happened(log, learner.is_not_answered(partial="It mi"))
        assert await conversation(owner) == OPENING
        await happened(log, learner.says("Is it?"), learner.is_answered("It is."))
        assert await conversation(owner) == [*OPENING, ("User", "Is it?"), ("Assistant", "It is.")]

    async def test_deleting_in_mid_turn_takes_back_the_message_without_a_reply(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner, 0), learner.says("Is it?"), learner.deletes())
        assert await conversation(owner) == OPENING

    async def test_a_message_without_an_answer_stays_until_a_retry_is_answered(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner, 0), learner.says("Is it?"))
        await happened(log, learner.is_left_unanswered("model_timeout"))
        assert await states(owner) == [("Is it?", "unanswered", "model_timeout", True)]
        await happened(log, learner.retries())
        assert await states(owner) == [("Is it?", None, None, None)]
        await happened(log, learner.stops("It mi"))
        stopped = [
            ("Is it?", "stopped", "cancelled", True),
            ("It mi", "incomplete", "cancelled", None),
        ]
        assert await states(owner) == stopped
        await happened(log, learner.retries(), learner.is_answered("It is."))
        assert await states(owner) == [("Is it?", None, None, None), ("It is.", None, None, None)]

    async def test_an_answer_also_answers_the_messages_right_before_it(
        self, log: EventLog, owner: Connection
    ) -> None:
        """Not those before a reply that was seen in part."""
        learner = Learner()
        await happened(log, *dialogue(learner, 0), learner.says("One"), learner.stops("It mi"))
        await happened(log, learner.says("Two"), learner.is_left_unanswered())
        await happened(log, learner.says("Three"), learner.is_answered("It is."))
        assert [(text, state) for text, state, _, _ in await states(owner)] == [
            *(("One", "stopped"), ("It mi", "incomplete")),
            *(("Two", None), ("Three", None), ("It is.", None)),
        ]

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("size", [1, 4, 50])
    async def test_the_messages_are_those_of_the_folded_dialogue(
        self, seed: int, size: int, log: EventLog, owner: Connection
    ) -> None:
        """However many events an append brings, and where texts are deleted, too."""
        learner = Learner()
        chance = random.Random(seed)
        steps = [learner.asks_to_open(), learner.opens_with_more()]
        for _ in range(150):
            steps.append(chance.choice(learner.possible_steps())())
            if learner.active is not None and chance.random() < 0.05:
                steps.append(learner.loses_texts(learner.active))
        events = [event for step in steps for event in step.events]
        recorded: list[RecordedEvent] = []
        for first in range(0, len(events), size):
            recorded += await append(log, learner.stream, *events[first : first + size])
            active = fold(recorded).active
            rows = await owner.fetch(MESSAGES_OF, active.id if active else 0)
            messages = active.messages if active else ()
            fields = ("id", "turn_id", "role", "text", "state", "code", "retryable", "revision")
            assert [tuple(row) for row in rows] == [
                tuple(getattr(message, field) for field in fields) for message in messages
            ]

    async def test_the_partial_text_of_a_failed_opening_is_not_visible(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, learner.asks_to_open(), learner.opening_fails(partial="What do"))
        assert await conversation(owner) == []

    async def test_each_message_has_its_id_turn_and_time(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        events = await happened(log, *dialogue(learner, 1))
        started, asked, answered = (event.event for event in events[1:])
        rows = await owner.fetch(
            "SELECT message_id::text, turn_id::text, created_at FROM read.conversation_messages"
            " ORDER BY position, ordinal"
        )
        assert [tuple(row) for row in rows] == [
            (started.starting_message_id, started.turn_id, events[1].recorded_at),  # type: ignore[union-attr]
            (started.message_id, started.turn_id, events[1].recorded_at),  # type: ignore[union-attr]
            (asked.message_id, asked.turn_id, events[2].recorded_at),  # type: ignore[union-attr]
            (answered.message_id, asked.turn_id, events[3].recorded_at),  # type: ignore[union-attr]
        ]

    async def test_conversations_of_two_learners_do_not_mix(
        self, log: EventLog, owner: Connection
    ) -> None:
        anna, ben = Learner(101), Learner(102, conversation_ids=iter([2]))
        for one, other in zip(dialogue(anna, 1), dialogue(ben, 1), strict=True):
            await happened(log, one, other)
        assert await conversation(owner, 1) == await conversation(owner, 2)
        assert len(await conversation(owner, 1)) == 4


class TestConversations:
    COLUMNS = "conversation_id, user_id, workflow_state, completed_at IS NOT NULL"

    async def test_a_conversation_begins_active_with_no_progress_made(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner(101, experience_id=2, course_id=3)
        objectives = ("Explain winter", "Compare the hemispheres")
        events = await happened(log, learner.asks_to_open(), learner.opens(objectives=objectives))
        at = events[-1].recorded_at
        ((*facts, progress, revision, met, created, completed, removed, _),) = await view_rows(
            owner, "conversations"
        )
        assert facts == [1, 1, 3, 2, 1, 101, "active"]
        assert (revision, met) == (events[-1].revision, False)
        assert msgspec.json.decode(progress) == {
            "current": 0,
            "total": 2,
            "percentage": 0,
            "objectives": [{"objective": text, "status": ""} for text in objectives],
        }
        assert (created, completed, removed) == (at, None, None)

    async def test_without_objectives_there_is_no_progress(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, learner.asks_to_open(), learner.opens(objectives=()))
        assert await view_rows(owner, "conversations", "account_id, progress") == [(1, None)]

    async def test_it_does_not_exist_before_it_was_opened(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, learner.asks_to_open())
        assert await view_rows(owner, "conversations") == []
        await happened(log, learner.opening_fails())
        assert await view_rows(owner, "conversations") == []

    async def test_a_new_conversation_completes_the_one_before_it(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner), *dialogue(learner, 0))
        assert await view_rows(owner, "conversations", self.COLUMNS) == [
            (1, 101, "completed", True),
            (2, 101, "active", False),
        ]

    async def test_a_deleted_conversation_is_completed_when_it_was_deleted(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        events = await happened(log, *dialogue(learner), learner.says(), learner.deletes())
        assert await view_rows(owner, "conversations", "workflow_state, completed_at") == [
            ("completed", events[-1].recorded_at)
        ]

    async def test_messages_do_not_change_the_conversations_row(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner, 0))
        before = await view_rows(owner, "conversations")
        await happened(log, learner.says(), learner.is_answered())
        await happened(log, learner.says(), learner.is_not_answered())
        assert await view_rows(owner, "conversations") == before


class TestActiveConversations:
    async def test_it_names_the_last_conversation_of_each_learner_and_experience(
        self, log: EventLog, owner: Connection
    ) -> None:
        anna, elsewhere = Learner(101, 1), Learner(101, 2, conversation_ids=iter([7]))
        ben = Learner(102, 1, conversation_ids=iter([9]))
        await happened(log, *dialogue(anna), *dialogue(anna), *dialogue(ben), *dialogue(elsewhere))
        assert await view_rows(owner, "active_conversations", order="1, 2, 3") == [
            (1, 1, 101, 2),
            (1, 1, 102, 9),
            (1, 2, 101, 7),
        ]

    async def test_a_failed_opening_costs_nobody_their_conversation(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner), learner.asks_to_open(), learner.opening_fails())
        assert await view_rows(owner, "active_conversations") == [(1, 1, 101, 1)]

    async def test_a_deleted_conversation_is_active_no_more(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner), learner.says(), learner.deletes())
        assert await view_rows(owner, "active_conversations") == []


class TestPendingTurns:
    async def test_a_turn_is_pending_from_its_request_to_its_end(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        ways = (
            (learner.asks_to_open, learner.opening_fails),
            (learner.asks_to_open, learner.opens),
            (learner.says, learner.is_answered),
            (learner.says, learner.is_not_answered),
            (learner.says, learner.deletes),
        )
        for request, end in ways:
            (asked,) = await happened(log, request())
            pending = await view_rows(
                owner, "pending_turns", "turn_id::text, stream, owner, deadline_at"
            )
            turn_id = asked.event.turn_id  # type: ignore[union-attr]
            assert pending == [(turn_id, learner.stream, OWNER, DEADLINE)]
            await happened(log, end())
            assert await view_rows(owner, "pending_turns") == []

    async def test_a_turn_that_ends_in_the_batch_in_which_it_began_is_not_pending(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        steps = [learner.asks_to_open(), learner.opens(), learner.says(), learner.is_answered()]
        whole = Step(learner.stream, tuple(event for step in steps for event in step.events))
        await happened(log, whole)
        assert await view_rows(owner, "pending_turns") == []
        assert len(await conversation(owner)) == 4


class TestProgress:
    OBJECTIVES = ("Explain winter", "Compare the hemispheres", "Predict the equinox")

    async def progress(self, owner: Connection) -> tuple[list[str], int, int, bool]:
        (row,) = await view_rows(
            owner, "conversations", "conversation_id, progress, all_objectives_met"
        )
        _, text, met = row
        progress = msgspec.json.decode(text)
        return (
            [objective["status"] for objective in progress["objectives"]],
            progress["current"],
            progress["percentage"],
            met,
        )

    async def test_covered_objectives_accumulate(self, log: EventLog, owner: Connection) -> None:
        learner = Learner()
        await happened(log, learner.asks_to_open(), learner.opens(objectives=self.OBJECTIVES))
        assert await self.progress(owner) == (["", "", ""], 0, 0, False)
        await happened(log, learner.says(), learner.is_answered(covers=[2]))
        assert await self.progress(owner) == (["", "covered", ""], 1, 33, False)
        await happened(log, learner.says(), learner.is_answered(covers=[]))
        assert await self.progress(owner) == (["", "covered", ""], 1, 33, False)
        await happened(log, learner.says(), learner.is_answered(covers=[3, 1]))
        assert await self.progress(owner) == (["covered"] * 3, 3, 100, True)

    async def test_progress_has_the_revision_of_its_last_change(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, learner.asks_to_open(), learner.opens(objectives=self.OBJECTIVES))
        _, assessed, _ = await happened(log, learner.says(), learner.is_answered(covers=[1]))
        await happened(log, learner.says(), learner.is_answered(covers=[]))
        ((_, revision),) = await view_rows(
            owner, "conversations", "conversation_id, shown_revision"
        )
        assert revision == assessed.revision

    async def test_an_evaluation_is_kept_with_the_version_that_it_was_made_of(
        self, log: EventLog, owner: Connection
    ) -> None:
        learner = Learner()
        await happened(log, *dialogue(learner, 1))
        await happened(log, *learner.is_evaluated(), *learner.is_evaluated())
        rows = await view_rows(
            owner, "evaluations", "conversation_id, experience_version, evaluation"
        )
        assert rows == [(1, 1, "{}"), (1, 1, "{}")]


class TestExperiences:
    async def test_an_experience_shows_as_it_was_created(
        self, log: EventLog, owner: Connection
    ) -> None:
        (event,) = await happened(log, experience_created(3, course_id=4, title="Tides"))
        ((*facts, created, updated),) = await view_rows(owner, "experiences")
        assert facts == [
            *(1, 3, 4, 1, "Tides", "On an observatory.", "The axis is tilted."),
            *("Explain winter\nCompare the hemispheres", "Begin outside.", "published"),
        ]
        assert created == updated == event.recorded_at
