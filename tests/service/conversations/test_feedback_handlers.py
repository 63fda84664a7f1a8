"""Votes on the model's messages."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from eventstore.dialogue_events import FeedbackGiven, FeedbackWithdrawn
from tests.databases import cloned_database
from tests.running import CONVERSATIONS, TEACHER, Service, fetch_value, running_service
from tests.service.conversations.test_handlers import MOMENT, UUID
from tests.service.histories import types_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_FOUND = {"error": "Resource Not Found"}
NOBODYS = "0198c0de-0000-7000-8000-00000000dead"
STRING_IDS = {"Accept": "application/json+canvas-string-ids"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(server_url: str) -> AsyncIterator[Service]:
    async with (
        cloned_database(server_url) as database_url,
        running_service(database_url) as running,
    ):
        yield running


class Talk:
    """A learner's conversation, and votes on its opening."""

    def __init__(self, service: Service, learner: int, body: Any) -> None:
        self.service = service
        self.learner = learner
        self.id = body["id"]
        self.prompt, self.opening = (message["id"] for message in body["messages"])

    def path(self, message_id: str | None = None, vote_id: str | None = None) -> str:
        below = f"/{vote_id}" if vote_id else ""
        where = f"{CONVERSATIONS}/{self.id}/messages/{message_id or self.opening}"
        return f"{where}/feedback{below}"

    async def vote(self, vote: str, user: int | None = None, **options: Any) -> Any:
        words = {k: options.pop(k) for k in ("feedback_message",) if k in options}
        status, body = await self.service.call(
            "POST", self.path(), user=user or self.learner, json={"vote": vote, **words}, **options
        )
        assert status == 200, body
        return body["feedback"]

    async def shown(self, user: int | None = None) -> list[Any]:
        """The votes on the opening that a user is shown, in each answer the same."""
        user = user or self.learner
        path = f"{CONVERSATIONS}/{self.id}"
        _, whole = await self.service.call("GET", path, user=user)
        assert [m["feedback"] for m in whole["messages"][2:]] == [[]] * len(whole["messages"][2:])
        if user == self.learner and whole["workflow_state"] == "active":
            active = await self.service.active(user)
            assert active["messages"] == whole["messages"]
        return list(whole["messages"][1]["feedback"])


@pytest_asyncio.fixture(loop_scope="module")
async def talk(service: Service) -> Talk:
    learner = await service.enroll()
    return Talk(service, learner, await service.open(learner))


async def test_a_vote_has_the_contracts_shape(talk: Talk) -> None:
    vote = await talk.vote("liked")
    assert UUID.fullmatch(vote["id"])
    assert MOMENT.fullmatch(vote["created_at"])
    assert vote == {
        "id": vote["id"],
        "vote": "liked",
        "user_id": talk.learner,
        "feedback_message": None,
        "created_at": vote["created_at"],
    }
    assert await talk.shown() == [vote]


async def test_a_vote_may_come_as_a_form_and_with_words(service: Service, talk: Talk) -> None:
    form = {"vote": "disliked", "feedback_message": "Too much at once 🌊"}
    status, body = await service.call("POST", talk.path(), user=talk.learner, data=form)
    assert status == 200
    assert body["feedback"]["feedback_message"] == "Too much at once 🌊"
    assert await talk.shown() == [body["feedback"]]


async def test_words_are_kept_apart_from_the_event_with_a_commitment_to_them(
    service: Service, talk: Talk
) -> None:
    await talk.vote("disliked", feedback_message="a secret thought")
    given = (await service.history())[-1]
    assert isinstance(given.event, FeedbackGiven)
    assert given.content == "a secret thought"
    stored = await fetch_value(
        service.database_url, "SELECT data::text FROM events WHERE position = $1", given.position
    )
    assert "secret" not in stored
    row = await fetch_value(
        service.database_url,
        "SELECT ARRAY[encode(e.content_hash, 'hex'), encode(c.salt, 'hex'), c.subject_id::text]"
        "  FROM events e JOIN event_content c USING (account_id, position)"
        " WHERE e.position = $1",
        given.position,
    )
    commitment, salt, subject = row
    committed = hashlib.sha256(bytes.fromhex(salt) + b"a secret thought").hexdigest()
    assert (commitment, subject) == (committed, str(talk.learner))


async def test_a_new_vote_replaces_the_last(service: Service, talk: Talk) -> None:
    known = await service.head()
    first = await talk.vote("liked", feedback_message="Nice")
    second = await talk.vote("disliked")
    assert first["id"] != second["id"]
    assert await talk.shown() == [second]
    gone = talk.path(vote_id=first["id"])
    await service.refused(404, NOT_FOUND, "DELETE", gone, user=talk.learner)
    assert types_of(await service.history(known)) == ["feedback_given", "feedback_given"]


async def test_everybody_is_shown_their_own_votes_only(service: Service, talk: Talk) -> None:
    mine, theirs = await talk.vote("liked"), await talk.vote("disliked", TEACHER)
    assert theirs["user_id"] == TEACHER
    assert await talk.shown() == [mine]
    assert await talk.shown(TEACHER) == [theirs]
    assert await talk.shown(await service.enroll("ta")) == []
    students = CONVERSATIONS.replace("/conversations", "/ai_conversations")
    _, body = await service.call("GET", f"{students}/{talk.id}", user=TEACHER)
    assert body["messages"][1]["feedback"] == [theirs]


async def test_every_answer_shows_the_votes_alike(service: Service, talk: Talk) -> None:
    """That to a message, that of a stream, and that of a read."""
    vote = await talk.vote("liked", feedback_message='with "quotes" and \n a line')
    await talk.vote("disliked", TEACHER)
    _, said = await service.say(talk.id, "Hello", talk.learner)
    assert said["messages"][1]["feedback"] == [vote]
    response = await service.request(
        "POST",
        f"{CONVERSATIONS}/{talk.id}/messages",
        user=talk.learner,
        json={"message": "Again"},
        headers={"Accept": "text/event-stream"},
    )
    last = (await response.text()).strip().split("\n\n")[-1].splitlines()
    assert last[1] == "event: done"
    streamed = json.loads(last[2].removeprefix("data: "))
    assert streamed["messages"][1]["feedback"] == [vote]
    assert await service.active(talk.learner) == streamed
    assert await talk.shown() == [vote]


async def test_the_voters_id_is_a_string_for_those_who_ask(service: Service, talk: Talk) -> None:
    """In every answer that shows the vote."""
    headers = STRING_IDS
    vote = await talk.vote("liked", headers=headers)
    assert vote["user_id"] == str(talk.learner)
    path = f"{CONVERSATIONS}/{talk.id}"
    _, whole = await service.call("GET", path, user=talk.learner, headers=headers)
    assert whole["messages"][1]["feedback"] == [vote]
    _, active = await service.call("GET", CONVERSATIONS, user=talk.learner, headers=headers)
    assert active["messages"][1]["feedback"] == [vote]


async def test_a_vote_changes_the_tag_and_so_does_its_withdrawal(
    service: Service, talk: Talk
) -> None:
    tags: list[str] = []

    async def tagged() -> None:
        response = await service.request("GET", CONVERSATIONS, user=talk.learner)
        tags.append(response.headers["ETag"])

    await tagged()
    vote = await talk.vote("liked")
    await tagged()
    await service.call("DELETE", talk.path(vote_id=vote["id"]), user=talk.learner)
    await tagged()
    assert len(set(tags)) == 3


@pytest.mark.parametrize("by_manager", [False, True])
async def test_a_vote_is_withdrawn_by_who_gave_it_or_a_manager(
    by_manager: bool, service: Service, talk: Talk
) -> None:
    vote = await talk.vote("liked")
    path, user = talk.path(vote_id=vote["id"]), TEACHER if by_manager else talk.learner
    assert await service.call("DELETE", path, user=user) == (200, {"success": True})
    assert await talk.shown() == []
    withdrawn = (await service.history())[-1]
    assert isinstance(withdrawn.event, FeedbackWithdrawn)
    assert (withdrawn.event.user_id, withdrawn.metadata.actor.id) == (talk.learner, user)
    await service.refused(404, NOT_FOUND, "DELETE", path, user=user)


async def test_a_learner_does_not_withdraw_a_managers_vote(service: Service, talk: Talk) -> None:
    vote = await talk.vote("liked", TEACHER)
    path = talk.path(vote_id=vote["id"])
    await service.refused(404, NOT_FOUND, "DELETE", path, user=talk.learner)
    assert await talk.shown(TEACHER) == [vote]


async def test_only_owners_and_managers_vote(service: Service, talk: Talk) -> None:
    for user in (await service.enroll(), await service.enroll("observer")):
        await service.refused(
            404, NOT_FOUND, "POST", talk.path(), user=user, json={"vote": "liked"}
        )


async def test_only_the_models_messages_take_votes(service: Service, talk: Talk) -> None:
    _, said = await service.say(talk.id, "Hello", talk.learner)
    error = {"error": "feedback is only possible on the model's messages"}
    for message_id in (talk.prompt, said["messages"][2]["id"]):
        await service.refused(
            400, error, "POST", talk.path(message_id), user=talk.learner, json={"vote": "liked"}
        )


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({}, 400, "vote must be liked or disliked"),
        ({"vote": None}, 400, "vote must be liked or disliked"),
        ({"vote": "loved"}, 400, "vote must be liked or disliked"),
        ({"vote": 1}, 400, "vote: Expected str | null, got int"),
        ({"vote": "liked", "x": 1}, 400, "Object contains unknown field x"),
        (
            {"vote": "liked", "feedback_message": "x" * 4001},
            422,
            "feedback_message must be 4000 characters or fewer",
        ),
        (
            {"vote": "liked", "feedback_message": "a\0"},
            400,
            "feedback_message must not contain the NUL character",
        ),
    ],
)
async def test_a_vote_that_cannot_be_read_is_refused(
    body: dict[str, Any], status: int, error: str, service: Service, talk: Talk
) -> None:
    await service.refused(
        status, {"error": error}, "POST", talk.path(), user=talk.learner, json=body
    )


@pytest.mark.parametrize("wrong", ["abc", "1", NOBODYS, "%00", "x" * 500])
async def test_ids_that_name_nothing_are_not_found(
    wrong: str, service: Service, talk: Talk
) -> None:
    vote = await talk.vote("liked")
    options: dict[str, Any] = {"user": talk.learner, "json": {"vote": "liked"}}
    await service.refused(404, NOT_FOUND, "POST", talk.path(wrong), **options)
    await service.refused(404, NOT_FOUND, "DELETE", talk.path(wrong, vote["id"]), **options)
    await service.refused(404, NOT_FOUND, "DELETE", talk.path(vote_id=wrong), **options)
    elsewhere = Talk(service, talk.learner, await service.open(talk.learner))
    mixed = elsewhere.path(talk.opening)
    await service.refused(404, NOT_FOUND, "POST", mixed, **options)
    await service.refused(404, NOT_FOUND, "DELETE", f"{mixed}/{vote['id']}", **options)


async def test_a_conversation_that_is_over_takes_votes(service: Service, talk: Talk) -> None:
    """And gives them back, without becoming active."""
    before = await talk.vote("liked")
    await service.call("DELETE", f"{CONVERSATIONS}/{talk.id}", user=talk.learner)
    assert await talk.shown() == [before]
    after = await talk.vote("disliked", feedback_message="On second thoughts")
    assert await talk.shown() == [after]
    path = talk.path(vote_id=after["id"])
    assert (await service.call("DELETE", path, user=talk.learner))[0] == 200
    assert await talk.shown() == []
    assert await service.active(talk.learner) == {}


async def test_a_vote_while_a_reply_is_under_way_or_in_an_old_conversation_disturbs_nobody(
    service: Service, talk: Talk
) -> None:
    new = await service.open(talk.learner)
    await talk.vote("liked")
    status, said = await service.say(new["id"], "Still here", talk.learner)
    assert status == 200
    assert len(said["messages"]) == 4


async def test_a_repeated_key_votes_once(service: Service, talk: Talk) -> None:
    """And gets its first answer also when another vote came after it."""
    headers = {"Idempotency-Key": f"vote-{talk.id}"}
    first = await talk.vote("liked", feedback_message="Good", headers=headers)
    later = await talk.vote("disliked")
    head = await service.head()
    assert await talk.vote("liked", feedback_message="Good", headers=headers) == first
    assert await service.head() == head
    assert await talk.shown() == [later]
    refusal = {"error": "this Idempotency-Key was used for another request"}
    for body in ({"vote": "disliked", "feedback_message": "Good"}, {"vote": "liked"}):
        await service.refused(
            422, refusal, "POST", talk.path(), user=talk.learner, headers=headers, json=body
        )
