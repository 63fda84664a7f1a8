"""Conditional requests: what has not changed is not sent again, what has is not talked over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from service.timing import Timing
from tests.fake_anthropic import FakeAnthropic, Speech, Stall, StreamError, covering
from tests.running import (
    CONVERSATIONS,
    TEACHER,
    Service,
    eventually,
    messages_of,
    running_beside,
)
from tests.service.histories import assert_lawful, types_of
from tests.service.reading_streams import reading, turn_path

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOVED = {"error": "the conversation has moved on; read it again"}
NOTHING = '"none"'
STRINGS = {"Accept": "application/json+canvas-string-ids"}
HELLO = {"json": {"message": "Hello"}}


@pytest_asyncio.fixture(loop_scope="module")
async def conversation(service: Service, learner: int) -> int:
    """The learner's active conversation, in which something has been said."""
    number: int = (await service.open(learner))["id"]
    assert (await service.say(number, "Something", learner))[0] == 200
    return number


@asynccontextmanager
async def stalled(
    fake: FakeAnthropic,
    service: Service,
    path: str,
    learner: int,
    stop_reason: str = "end_turn",
) -> AsyncIterator[str]:
    """A turn under way, until the provider is told to go on or the turn is stopped; its id."""
    fake.script(Stall(after=1, speech=Speech(stop_reason=stop_reason)))
    body = {} if path == CONVERSATIONS else HELLO["json"]
    async with reading(service, "POST", path, user=learner, json=body) as (_, stream):
        accepted = await stream.next()
        await fake.wait_until(lambda: fake.stalled == 1)
        try:
            yield accepted.data["turn_id"]
        finally:
            fake.release()
            await stream.rest()


async def tag_of(service: Service, learner: int, **headers: str) -> str:
    response = await service.request("GET", CONVERSATIONS, user=learner, headers=headers)
    assert response.status == 200
    return response.headers["ETag"]


async def unless_known(service: Service, learner: int, given: str) -> aiohttp.ClientResponse:
    headers = {"If-None-Match": given}
    return await service.request("GET", CONVERSATIONS, user=learner, headers=headers)


async def has_changed(service: Service, learner: int, tag: str) -> bool:
    """A client that has the answer with this tag gets another one."""
    response = await unless_known(service, learner, tag)
    assert (response.status == 304) == (response.headers["ETag"] == tag)
    return response.status == 200


async def if_match(
    service: Service, learner: int, conversation: int, given: str, **headers: str
) -> aiohttp.ClientResponse:
    return await service.request(
        "POST",
        messages_of(conversation),
        user=learner,
        headers={"If-Match": given, **headers},
        **HELLO,
    )


async def refused_as_moved(service: Service, learner: int, conversation: int, given: str) -> None:
    path, headers = messages_of(conversation), {"If-Match": given}
    await service.refused(412, MOVED, "POST", path, user=learner, headers=headers, **HELLO)


async def test_every_answer_has_the_tag_of_the_get_after_it(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """A new conversation, a message and a stop; and there is one for no conversation too."""
    assert await tag_of(service, learner) == NOTHING
    created = await service.request("POST", CONVERSATIONS, user=learner)
    assert created.headers["ETag"] == await tag_of(service, learner)
    conversation = (await created.json())["id"]
    said = await service.request("POST", messages_of(conversation), user=learner, **HELLO)
    assert said.headers["ETag"] == await tag_of(service, learner)
    async with stalled(fake, service, messages_of(conversation), learner) as turn_id:
        path = turn_path(conversation, turn_id, "cancel")
        stopped = await service.request("POST", path, user=learner)
    assert stopped.status == 200
    assert stopped.headers["ETag"] == await tag_of(service, learner) != said.headers["ETag"]


async def test_a_stopped_opening_leaves_the_tag_of_what_there_was(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """Of nothing, or of the conversation before."""
    for _ in range(2):
        before = await tag_of(service, learner)
        async with stalled(fake, service, CONVERSATIONS, learner) as turn_id:
            opening = (await service.history())[-1].event
            path = turn_path(opening.conversation_id, turn_id, "cancel")  # type: ignore[union-attr]
            stopped = await service.request("POST", path, user=learner)
        assert stopped.status == 200
        assert stopped.headers["ETag"] == before == await tag_of(service, learner)
        await service.open(learner)


@pytest.mark.parametrize(
    "form", ["{}", "W/{}", '"other", {}, W/"third"', "{},{}", "*"], ids=lambda form: form
)
async def test_what_the_client_has_is_not_sent_again(
    form: str, service: Service, learner: int
) -> None:
    """A conversation or none: the tag alone, or in a list, or weak, or any."""
    for _ in range(2):
        tag = await tag_of(service, learner)
        response = await unless_known(service, learner, form.format(tag, tag))
        assert (response.status, await response.text()) == (304, "")
        assert response.headers["ETag"] == tag
        await service.open(learner)


@pytest.mark.parametrize("given", ['"1-1"', "garbage", '"none', "", "W/*", '"1-1-s", W/"none-s"'])
async def test_what_the_client_does_not_have_is_sent(
    given: str, service: Service, learner: int, conversation: int
) -> None:
    response = await unless_known(service, learner, given)
    assert response.status == 200
    assert await response.json() == await service.active(learner)


async def test_ids_as_strings_are_another_answer(
    service: Service, learner: int, conversation: int
) -> None:
    """Who has the one does not have the other."""
    plain, strings = await tag_of(service, learner), await tag_of(service, learner, **STRINGS)
    assert plain != strings
    for known, headers, status in (
        (plain, {}, 304),
        (plain, STRINGS, 200),
        (strings, {}, 200),
        (strings, STRINGS, 304),
    ):
        given = {"If-None-Match": known, **headers}
        response = await service.request("GET", CONVERSATIONS, user=learner, headers=given)
        assert response.status == status
        assert response.headers["ETag"] == (strings if headers else plain)


async def test_whatever_changes_the_answer_changes_its_tag(
    service: Service, fake: FakeAnthropic, learner: int
) -> None:
    """None of the tags comes again for another answer."""
    tags = [await tag_of(service, learner)]

    async def changed() -> None:
        assert await has_changed(service, learner, tags[-1])
        tags.append(await tag_of(service, learner))

    for _ in range(2):
        conversation = (await service.open(learner))["id"]
        await changed()
        fake.script_judgements(covering((1, 3)))
        async with stalled(fake, service, messages_of(conversation), learner):
            await changed()
        await changed()
        assert (await service.active(learner))["progress"]["current"] == 1
    path = f"{CONVERSATIONS}/{conversation}"
    assert (await service.call("DELETE", path, user=TEACHER))[0] == 200
    assert await has_changed(service, learner, tags[-1])
    assert await tag_of(service, learner) == NOTHING
    assert len(set(tags)) == len(tags)


@pytest_asyncio.fixture(loop_scope="module")
async def hasty(service: Service, fake: FakeAnthropic) -> AsyncIterator[Service]:
    """A service whose replies wait for no assessment."""
    timing = Timing(assessment=0.01)
    async with running_beside(service, timing, anthropic_base_url=fake.url) as running:
        yield running


async def test_progress_that_comes_after_the_reply_changes_the_tag(
    service: Service,
    fake: FakeAnthropic,
    learner: int,
    conversation: int,
    hasty: Service,
) -> None:
    """The judgement is slower than the reply, which does not wait for it here."""
    fake.script_judgements(Stall(after=1, speech=covering((2, 3))))
    said = await hasty.request("POST", messages_of(conversation), user=learner, **HELLO)
    tag = said.headers["ETag"]
    assert not await has_changed(service, learner, tag)
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    fake.release()
    await eventually(lambda: has_changed(service, learner, tag))
    assert (await service.active(learner))["progress"]["current"] == 1
    await refused_as_moved(service, learner, conversation, tag)


async def test_a_judgement_that_finds_nothing_new_changes_no_tag(
    service: Service,
    fake: FakeAnthropic,
    learner: int,
    conversation: int,
    hasty: Service,
) -> None:
    fake.script_judgements(Stall(after=1, speech=covering()))
    said = await hasty.request("POST", messages_of(conversation), user=learner, **HELLO)
    await fake.wait_until(lambda: fake.stalled_judgements == 1)
    fake.release()
    await eventually(lambda: is_last(service, "objectives_assessed"))
    assert not await has_changed(service, learner, said.headers["ETag"])


async def test_an_opening_that_fails_leaves_the_tag_as_it_was(
    service: Service, fake: FakeAnthropic, learner: int, conversation: int
) -> None:
    before = await tag_of(service, learner)
    fake.script(StreamError())
    assert (await service.call("POST", CONVERSATIONS, user=learner))[0] == 503
    assert not await has_changed(service, learner, before)
    assert (await if_match(service, learner, conversation, before)).status == 200


async def test_a_message_that_is_left_without_a_reply_moves_the_tag_twice(
    service: Service, fake: FakeAnthropic, learner: int, conversation: int
) -> None:
    """When it is said, and when it says that there is no reply."""
    before = await tag_of(service, learner)
    async with stalled(fake, service, messages_of(conversation), learner, "refusal"):
        under_way = await tag_of(service, learner)
    assert len({before, under_way, await tag_of(service, learner)}) == 3
    assert (await if_match(service, learner, conversation, under_way)).status == 412


@pytest.mark.parametrize("form", ["{}", '"1-1", {}', "{},{}", "*"], ids=lambda form: form)
async def test_a_message_is_taken_where_the_conversation_is_as_the_client_knows_it(
    form: str, service: Service, learner: int, conversation: int
) -> None:
    for headers in ({}, STRINGS):
        given = form.format(*[await tag_of(service, learner, **headers)] * 2)
        response = await if_match(service, learner, conversation, given)
        assert response.status == 200, given
        assert (await response.json())["messages"][-2]["text"] == "Hello"


@pytest.mark.parametrize(
    "form",
    ["W/{}", "garbage", "{}garbage", '"1-1"', '"none"', '""', '"9999999999999999999-1"'],
    ids=lambda form: form,
)
async def test_a_message_is_refused_where_the_client_names_no_revision_that_could_be(
    form: str, service: Service, learner: int, conversation: int
) -> None:
    await refused_as_moved(
        service, learner, conversation, form.format(await tag_of(service, learner))
    )


async def test_a_message_is_refused_where_the_conversation_has_moved_on(
    service: Service, learner: int, conversation: int
) -> None:
    """Also by a tag of another conversation with the same revision in it."""
    stale = await tag_of(service, learner)
    assert (await if_match(service, learner, conversation, stale)).status == 200
    await refused_as_moved(service, learner, conversation, stale)
    current = await tag_of(service, learner)
    revision = current.strip('"').partition("-")[2]
    await refused_as_moved(service, learner, conversation, f'"{conversation + 1}-{revision}"')
    assert (await if_match(service, learner, conversation, current)).status == 200


async def test_of_two_who_know_the_same_one_may_speak(
    service: Service, learner: int, conversation: int
) -> None:
    """At the same time, as from two tabs."""
    for _ in range(5):
        known = await tag_of(service, learner)
        answers = await asyncio.gather(
            *(if_match(service, learner, conversation, known) for _ in range(2))
        )
        assert sorted(answer.status for answer in answers) == [200, 412]


async def test_during_a_reply_who_has_not_seen_the_question_has_moved_on(
    service: Service, fake: FakeAnthropic, learner: int, conversation: int
) -> None:
    """And who has seen it is told to wait."""
    before = await tag_of(service, learner)
    async with stalled(fake, service, messages_of(conversation), learner):
        await refused_as_moved(service, learner, conversation, before)
        during = await tag_of(service, learner)
        response = await if_match(service, learner, conversation, during)
        assert (response.status, (await response.json())["code"]) == (409, "turn_in_progress")
    await refused_as_moved(service, learner, conversation, during)


async def test_a_message_to_a_conversation_that_is_over_is_not_found_whatever_the_tag(
    service: Service, learner: int, conversation: int
) -> None:
    known = await tag_of(service, learner)
    await service.open(learner)
    for given in (known, await tag_of(service, learner), "*"):
        assert (await if_match(service, learner, conversation, given)).status == 404


async def test_a_message_that_comes_again_is_answered_though_the_conversation_has_moved_on(
    service: Service, learner: int, conversation: int
) -> None:
    """By its own first time: without its key the same request is refused."""
    known, key = await tag_of(service, learner), {"Idempotency-Key": str(uuid4())}
    first = await if_match(service, learner, conversation, known, **key)
    assert first.status == 200
    again = await if_match(service, learner, conversation, known, **key)
    assert (again.status, await again.text()) == (200, await first.text())
    assert again.headers["ETag"] == first.headers["ETag"] == await tag_of(service, learner)
    await refused_as_moved(service, learner, conversation, known)


async def is_last(service: Service, kind: str) -> bool:
    return types_of(await service.history())[-1] == kind


async def test_the_log_of_all_these_tests_is_lawful(service: Service) -> None:
    await service.open(await service.enroll())
    assert_lawful(await service.history())
