"""A run over HTTP, recorded answer by answer, and replayed at each of its positions."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from eventstore.connections import connect
from service.identity.tokens import create_token
from tests.fake_anthropic import FakeAnthropic, Stall, covering
from tests.running import (
    API,
    CONVERSATIONS,
    LEARNER,
    OTHER_LEARNER,
    TEACHER,
    Service,
    running_service,
)

AUDITOR = 900


class Moment(msgspec.Struct, frozen=True):
    """The answers to the learner while the log ended at `head`."""

    head: int
    conversation: Any
    active: Any


class Recorder:
    """Drives one learner's conversation and records the answers after each step.

    `scripted` is held while the model is on a script, which others must not use up.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.moments: dict[int, list[Moment]] = {}
        self.scripted = asyncio.Lock()

    async def record(self, number: int) -> None:
        """Records the learner's answers, again if an event was appended meanwhile."""
        async with asyncio.timeout(20):
            while True:
                head = await self.service.head()
                status, shown = await self.service.call("GET", f"{CONVERSATIONS}/{number}")
                assert status == 200, shown
                active = await self.service.active()
                if await self.service.head() == head:
                    break
        mine = active if active.get("id") == number else None
        self.moments.setdefault(number, []).append(Moment(head, shown, mine))


@pytest.fixture
async def fake() -> AsyncIterator[FakeAnthropic]:
    async with FakeAnthropic() as server:
        yield server


@pytest.fixture
async def service(demo_url: str, fake: FakeAnthropic) -> AsyncIterator[Service]:
    async with running_service(
        demo_url, anthropic_base_url=fake.url, retry_pause=0.0, max_attempts=2
    ) as running:
        yield running


async def replayed(service: Service, number: int, at: object = None) -> Any:
    parameters = {} if at is None else {"at": str(at)}
    path = f"/api/v1/audit/conversations/{number}/replay"
    status, body = await service.call("GET", path, user=AUDITOR, params=parameters)
    assert status == 200, body
    return body


async def vote(service: Service, number: int, message: str, user: int, **body: str) -> Any:
    path = f"{CONVERSATIONS}/{number}/messages/{message}/feedback"
    status, answer = await service.call("POST", path, user=user, json=body)
    assert status == 200, answer
    return answer["feedback"]


async def others(recorder: Recorder, rounds: int) -> None:
    """Another learner's turns."""
    async with recorder.scripted:
        opened = await recorder.service.open(OTHER_LEARNER)
    for n in range(rounds):
        async with recorder.scripted:
            await recorder.service.say(opened["id"], f"Meanwhile {n}", OTHER_LEARNER)


async def drive(recorder: Recorder, fake: FakeAnthropic) -> tuple[int, int]:
    """Drives a conversation through all its events; its id and that of the next one."""
    service = recorder.service
    number = (await service.open())["id"]
    await recorder.record(number)
    async with recorder.scripted:
        fake.script_judgements(covering((1, 3)))
        await service.say(number, "The Moon pulls the water.")
    await recorder.record(number)
    async with recorder.scripted:
        fake.script("overloaded_529", "overloaded_529")
        assert (await service.say(number, "This gets no reply."))[0] == 503
    await recorder.record(number)
    async with recorder.scripted:
        await cancel_one(service, fake, number)
    await recorder.record(number)
    shown = await service.active()
    reply = shown["messages"][3]["id"]
    given = await vote(service, number, reply, LEARNER, vote="liked", feedback_message="Good!")
    await recorder.record(number)
    await vote(service, number, shown["messages"][1]["id"], TEACHER, vote="disliked")
    await recorder.record(number)
    withdraw = f"{CONVERSATIONS}/{number}/messages/{reply}/feedback/{given['id']}"
    assert (await service.call("DELETE", withdraw))[0] == 200
    await recorder.record(number)
    edit = {"pedagogical_guidance": "Be brief now."}
    assert (await service.call("PUT", API, user=TEACHER, json=edit))[0] == 200
    await recorder.record(number)
    await service.say(number, "Because it is nearer?")
    await recorder.record(number)
    following = (await service.open())["id"]
    await recorder.record(number)
    await recorder.record(following)
    assert (await service.call("DELETE", f"{CONVERSATIONS}/{following}"))[0] == 200
    await recorder.record(following)
    return number, following


async def cancel_one(service: Service, fake: FakeAnthropic, number: int) -> None:
    """Stops a reply halfway."""
    fake.script(Stall(after=1))
    asking = asyncio.create_task(service.say(number, "Stop here."))
    await fake.wait_until(lambda: fake.stalled == 1)
    status, busy = await service.say(number, "Still?")
    assert status == 409
    stop = f"{CONVERSATIONS}/{number}/turns/{busy['turn_id']}/cancel"
    assert (await service.call("POST", stop))[0] == 200
    assert (await asking)[0] == 409


async def test_every_recorded_answer_is_replayed_until_the_next_change(
    service: Service, fake: FakeAnthropic
) -> None:
    recorder = Recorder(service)
    noise = asyncio.create_task(others(recorder, 8))
    number, following = await drive(recorder, fake)
    await noise
    changes = {number: await changed_at(service, number)}
    changes[following] = await changed_at(service, following)
    assert len(recorder.moments[number]) > 8
    first, second, *_ = recorder.moments[number]
    covered = [m.conversation["progress"]["current"] for m in (first, second)]
    assert covered == [0, 1], "the run has progress in it"
    for conversation, moments in recorder.moments.items():
        for moment in moments:
            body = await replayed(service, conversation, moment.head)
            assert body["seen"] == moment.conversation, moment.head
            assert body["active"] == moment.active, moment.head
        await between(service, conversation, moments, changes[conversation])


async def between(service: Service, number: int, moments: list[Moment], changes: list[int]) -> None:
    """Between two changes of the conversation, its replay stays the same."""
    for moment in moments:
        nothing_until = min([p for p in changes if p > moment.head], default=moment.head + 1)
        for position in range(moment.head + 1, nothing_until):
            body = await replayed(service, number, position)
            assert body["seen"] == moment.conversation
            assert body["active"] == moment.active


async def changed_at(service: Service, number: int) -> list[int]:
    return [
        e.position
        for e in await service.history()
        if getattr(e.event, "conversation_id", None) == number
    ]


async def test_a_replay_also_shows_what_the_learner_did_not_see(
    service: Service, fake: FakeAnthropic
) -> None:
    number, _ = await drive(Recorder(service), fake)
    steps = (await replayed(service, number))["steps"]
    assert [s["position"] for s in steps] == sorted(s["position"] for s in steps)
    by_type: dict[str, list[Any]] = {}
    for step in steps:
        by_type.setdefault(step["type"].partition(".")[0], []).append(step)
    failed, cancelled = by_type["reply_failed"][0], by_type["reply_cancelled"][0]
    assert failed["data"]["code"] == "model_overloaded"
    assert [a["outcome"] for a in failed["data"]["attempt_records"]] == ["model_overloaded"] * 2
    assert cancelled["text"] == "What do you "
    assert (cancelled["shown"], cancelled["withdrawn"]) == (True, False)
    assert (failed["shown"], failed["withdrawn"]) == (False, False), "nothing had arrived"
    assert all(s["shown"] for s in by_type["message_posted"])
    reply = by_type["reply_completed"][0]
    assert reply["shown"]
    assert reply["data"]["reply"]["prompt"]["sha256"]
    assert reply["data"]["reply"]["usage"]["output_tokens"] == 7
    assert by_type["experience_edited"][0]["data"]["pedagogical_guidance"] == "Be brief now."
    assert by_type["experience_edited"][0]["actor"] == {"id": TEACHER, "role": "teacher"}
    assert {s["actor"]["id"] for s in by_type["feedback_given"]} == {LEARNER, TEACHER}


async def test_a_replay_names_the_conversations_version_of_the_experience(
    service: Service, fake: FakeAnthropic
) -> None:
    number, following = await drive(Recorder(service), fake)
    kept, edited = await replayed(service, number), await replayed(service, following)
    assert kept["experience_version"] == 1
    assert kept["experience"]["pedagogical_guidance"].startswith("Start from what")
    assert edited["experience_version"] == 2
    assert edited["experience"]["pedagogical_guidance"] == "Be brief now."


async def test_a_replay_at_a_time_uses_the_last_position_before_it(
    service: Service, fake: FakeAnthropic
) -> None:
    recorder = Recorder(service)
    number, _ = await drive(recorder, fake)
    log = await service.history()
    for moment in recorder.moments[number]:
        when = log[moment.head - 1].recorded_at
        [*_, last] = [e.position for e in log if e.recorded_at <= when]
        body = await replayed(service, number, when.isoformat())
        assert (body["at"], body["seen"]) == (last, moment.conversation)
    early = await replayed(service, number, "2001-01-01")
    assert (early["at"], early["seen"], early["steps"]) == (0, None, [])


async def test_a_conversation_that_never_opened_is_replayed(
    service: Service, fake: FakeAnthropic
) -> None:
    fake.script("overloaded_529", "overloaded_529")
    assert (await service.call("POST", CONVERSATIONS))[0] == 503
    body = await replayed(service, 1)
    assert (body["seen"], body["active"]) == (None, None)
    types = [step["type"] for step in body["steps"]]
    assert types[:2] == ["opening_requested.v1", "opening_failed.v1"]


async def test_concurrent_replays_do_not_interfere(service: Service, fake: FakeAnthropic) -> None:
    recorder = Recorder(service)
    numbers = await drive(recorder, fake)
    chosen = [(n, m) for n in numbers for m in recorder.moments[n]]
    bodies = await asyncio.gather(*(replayed(service, n, m.head) for n, m in chosen))
    assert [body["seen"] for body in bodies] == [m.conversation for _, m in chosen]


async def erase(service: Service) -> None:
    connection = await connect(service.database_url)
    service.tokens["admin"] = await create_token(connection, 1, TEACHER, admin=True)
    await connection.close()
    path = f"/api/v1/accounts/self/users/{LEARNER}/learner_data"
    status, body = await service.call(
        "DELETE",
        path,
        user=None,
        json={"reason": "letter"},
        headers={"Authorization": f"Bearer {service.tokens['admin']}"},
    )
    assert status == 200, body


async def test_erased_texts_show_their_date_at_every_position(
    service: Service, fake: FakeAnthropic
) -> None:
    recorder = Recorder(service)
    number, _ = await drive(recorder, fake)
    await erase(service)
    head = await service.head()
    [gone] = [e for e in await service.history() if type(e.event).__name__ == "LearnerErased"]
    words = f"[erased on {gone.recorded_at:%Y-%m-%d}]"
    for position in [*(m.head for m in recorder.moments[number]), head]:
        body = await replayed(service, number, position)
        prompt, *messages = body["seen"]["messages"]
        assert prompt["text"] != words, "the starting prompt is nobody's personal text"
        assert {m["text"] for m in messages} == {words}
    for moment in recorder.moments[number]:
        body = await replayed(service, number, moment.head)
        assert [m["id"] for m in body["seen"]["messages"]] == [
            m["id"] for m in moment.conversation["messages"]
        ]
    steps = (await replayed(service, number))["steps"]
    assert {s["text"] for s in steps if s["erased"]} == {words}
    assert {"text_expired.v1", "learner_erased.v1"} <= {s["type"] for s in steps}


async def test_a_read_of_a_conversation_is_a_step_of_its_later_replays(
    service: Service, fake: FakeAnthropic
) -> None:
    number = (await service.open())["id"]
    await replayed(service, number)
    [*_, last] = (await replayed(service, number))["steps"]
    assert last["type"] == "history_read.v1"
    assert last["actor"] == {"id": AUDITOR, "role": "auditor"}
