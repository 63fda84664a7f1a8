"""Output of commands for one item, several items and none."""

import pytest

from projections.status import ProjectionStatus
from service.audit.conversation_endings import ending_of
from service.cli.privacy.learner_commands import record_lines
from service.cli.projections.status_commands import on_screen
from service.json_values import Id
from service.privacy.learner_record import (
    LearnerRecord,
    RecordedConversation,
    RecordedErasure,
    RecordedHold,
    RecordedRead,
    RecordedVote,
)
from tests.service.cli.command_runs import Run

AT = "2031-03-01T09:00:00Z"


def test_an_empty_list_has_one_line_that_says_so(on_database: Run) -> None:
    """On standard error, so that standard output is empty."""
    for words, none in (
        (["hold", "list"], "there are no holds"),
        (["token", "list"], "there are no tokens"),
        (["analyst", "list"], "there are no logins of analysts"),
        (["retention", "show"], "there are no rules: texts are kept for ever"),
        (["log", "show", "--conversation", 7], "there are no such events"),
        (["audit", "events", "--type", "message_posted.v1"], "there are no such events"),
    ):
        # A reading of events is one itself, and so there is one when it is asked for again.
        for form in ([], ["--json"]) if words[1] in ("list", "show") and len(words) == 2 else ([],):
            ended = on_database(*words, *form)
            assert (ended.code, ended.out) == (0, ""), words
            assert ended.err == f"{none}\n"


@pytest.mark.parametrize(
    ("events", "seconds", "told"),
    [
        (1, 0.4, "1 event, 0.4 s behind"),
        (2, 27_014_861.0, "2 events, 312 days behind"),
        (0, None, "fresh"),
    ],
)
def test_the_lag_of_a_projection_is_readable(events: int, seconds: float | None, told: str) -> None:
    row = ProjectionStatus(
        name="turn_facts",
        version=6,
        generation=1,
        mode="followed",
        state="live",
        account_id=1,
        position=3,
        head=3 + events,
        lag_seconds=seconds,
        error=None,
        error_position=None,
        error_type=None,
        error_at=None,
        paused=False,
    )
    (line,) = on_screen([row], 200, 10)
    assert line.endswith(told)


def test_a_conversation_that_was_ended_is_not_called_deleted() -> None:
    completed = "conversation_completed.v1"
    assert ending_of({"type": completed, "reason": "deleted"}) == "ended on request"
    assert ending_of({"type": completed, "reason": "superseded"}) == (
        "the next conversation took its place"
    )
    assert ending_of({"type": "learner_erased.v1", "reason": "deleted"}) is None


def test_a_record_has_names_reasons_and_counts() -> None:
    record = LearnerRecord(
        user_id=Id(101),
        name="Ada",
        made_at=AT,
        conversations=(
            RecordedConversation(
                id=Id(7),
                course_id=Id(1),
                experience_id=Id(3),
                experience_title=None,
                workflow_state="completed",
                all_objectives_met=False,
                created_at=AT,
                completed_at=AT,
                messages_by_learner=1,
                messages_by_model=2,
                evaluations=(AT,),
                votes=(RecordedVote(vote="liked", voter_id=Id(1), words="good", voted_at=AT),),
                text_kept=False,
                text_removed_at=AT,
            ),
        ),
        holds=(RecordedHold(id=Id(2), placed_at=AT, released_at=None, reason=None),),
        erasures=(RecordedErasure(erased_at=AT, reason="letter 12", texts=1),),
        reads=(_read("Bo", 5), _read(None, None)),
    )
    assert list(record_lines(record)) == [
        f"user 101 (Ada), as of {AT}",
        f"  conversation 7 (course 1, experience 3): began {AT}, completed {AT}, 1 message by the "
        f"learner and 2 by the model, 1 evaluation, words deleted {AT}",
        f"    liked by user 1 on {AT}: good",
        f"  legal hold 2, placed {AT}, stands",
        f"  erased {AT}, 1 text deleted: letter 12",
        f"  read {AT} by Bo (user 5, teacher), in whose place user 9: evaluation of conversation 7",
        f"  read {AT} by an operator of the service's machine: log show",
    ]


def _read(name: str | None, user_id: int | None) -> RecordedRead:
    return RecordedRead(
        read_at=AT,
        reader_id=None if user_id is None else Id(user_id),
        reader_name=name,
        role="operator" if user_id is None else "teacher",
        acting_user_id=None if user_id is None else Id(9),
        what="log show" if user_id is None else "evaluation",
        conversation_id=None if user_id is None else Id(7),
        course_id=None,
    )
