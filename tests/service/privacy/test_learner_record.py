"""What is kept about a learner, and who has read it: for the learner, and for administrators."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from eventstore.clock import DatabaseClock
from eventstore.connections import Connection
from eventstore.dialogue_events import ConversationStarted
from eventstore.envelope import Actor, Metadata, NewEvent, RecordedEvent
from eventstore.privacy_events import HistoryRead
from eventstore.running_log import running_log
from service.json_values import NUMBER_IDS, STRING_IDS, read_id
from service.privacy.learner_record import LearnerRecord
from service.privacy.legal_holds import LegalHolds
from tests.running import (
    CONVERSATIONS,
    LEARNER,
    OTHER_LEARNER,
    TEACHER,
    Service,
    colloquy,
    running_service,
)
from tests.service.privacy.erasing import (
    by,
    create_admin,
    erase,
    speak_everywhere,
    talk,
    turn_of,
)

RECORD = "/api/v1/users/{}/learner_record"
FORBIDDEN = {
    "status": "unauthorized",
    "errors": [{"message": "user not authorized to perform that action"}],
}
AUDITOR = 900
EVENTS = "/api/v1/audit/events"
HOSTILE = "<script>alert('read me')</script><img src=x>"


@pytest.fixture
async def service(demo_url: str) -> AsyncIterator[Service]:
    async with running_service(demo_url) as running:
        await create_admin(running)
        yield running


async def record(service: Service, whose: object = LEARNER, **options: Any) -> Any:
    status, body = await service.call("GET", RECORD.format(whose), **options)
    assert status == 200, body
    encoder = STRING_IDS if isinstance(body["user_id"], str) else NUMBER_IDS
    again = encoder.encode(msgspec.convert(body, LearnerRecord, dec_hook=read_id))
    assert msgspec.json.decode(again) == body, "not as it is described"
    return body


async def reads(service: Service) -> list[RecordedEvent]:
    return [e for e in await service.history() if isinstance(e.event, HistoryRead)]


async def what_was_read(service: Service) -> list[str]:
    history = [e.event for e in await service.history()]
    return [event.what for event in history if isinstance(event, HistoryRead)]


async def test_a_learner_sees_what_is_kept_of_their_conversations(service: Service) -> None:
    shown = await speak_everywhere(service)
    own = await record(service, "self")
    (kept,) = own["conversations"]
    (started,) = [
        e.recorded_at for e in await service.history() if isinstance(e.event, ConversationStarted)
    ]
    assert kept["created_at"] == f"{started.isoformat()[:19]}Z"
    assert (kept["id"], kept["course_id"], kept["experience_id"]) == (shown["id"], 1, 1)
    assert (kept["messages_by_learner"], kept["messages_by_model"]) == (2, 3)
    assert (len(kept["evaluations"]), kept["text_kept"]) == (1, True)
    assert [(v["voter_id"], v["vote"]) for v in kept["votes"]] == [
        (LEARNER, "liked"),
        (TEACHER, "liked"),
    ]
    assert (own["user_id"], own["holds"], own["erasures"]) == (LEARNER, [], [])
    assert await record(service, LEARNER) | {"made_at": 0} == own | {"made_at": 0}


async def test_only_an_administrator_sees_another_users_record(
    service: Service,
) -> None:
    for user in (OTHER_LEARNER, TEACHER):
        await service.refused(403, FORBIDDEN, "GET", RECORD.format(LEARNER), user=user)
        await service.refused(403, FORBIDDEN, "GET", RECORD.format(4040), user=user)
    admin = by(service, "admin")
    assert (await record(service, LEARNER, **admin))["user_id"] == LEARNER
    missing = {"error": "Resource Not Found"}
    for nobody in ("4040", "x", "0"):
        await service.refused(404, missing, "GET", RECORD.format(nobody), **admin)


async def test_an_administrators_read_of_a_record_is_recorded(service: Service) -> None:
    await record(service, LEARNER, **by(service, "admin"))
    (read,) = (await record(service))["reads"]
    assert (read["reader_id"], read["role"], read["what"]) == (900, "admin", "learner_record")
    acting = {"params": {"as_user_id": str(LEARNER)}, **by(service, "admin")}
    assert (await record(service, "self", **acting))["user_id"] == LEARNER
    assert [r["acting_user_id"] for r in (await record(service))["reads"]] == [900, None]


async def test_reads_of_a_conversation_by_others_are_recorded(
    service: Service,
) -> None:
    shown = await talk(service, LEARNER, "Hello")
    path = f"{CONVERSATIONS}/{shown['id']}"
    assert (await service.call("GET", path))[0] == 200
    assert await reads(service) == []
    assert (await service.call("GET", path, user=TEACHER))[0] == 200
    (read,) = await reads(service)
    assert read.stream == f"access-{LEARNER}"
    assert read.metadata.actor == Actor(TEACHER, "teacher")
    assert read.event == HistoryRead(
        what="conversation", learner_id=LEARNER, conversation_id=shown["id"]
    )
    (told,) = (await record(service))["reads"]
    assert (told["reader_id"], told["role"], told["conversation_id"]) == (
        TEACHER,
        "teacher",
        shown["id"],
    )
    assert told["reader_name"]


async def test_repeated_reads_are_recorded_once_an_hour(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 9

    def now(_clock: DatabaseClock) -> datetime:
        """A time shortly before the end of `hour`."""
        return datetime(2031, 3, 1, hour, 59, 59, tzinfo=UTC)

    monkeypatch.setattr(DatabaseClock, "now", now)
    shown = await talk(service, LEARNER, "Hello")
    paths = [f"{CONVERSATIONS}/{shown['id']}"] * 10
    paths += [path.replace("conversations", "ai_conversations") for path in paths]
    answers = await asyncio.gather(*(service.call("GET", path, user=TEACHER) for path in paths))
    assert {status for status, _ in answers} == {200}
    assert len(await reads(service)) == 1
    assert (await service.call("POST", f"{paths[0]}/evaluation", user=TEACHER))[0] == 200
    assert (await service.call("GET", f"{paths[0]}/evaluation", user=TEACHER))[0] == 200
    assert await what_was_read(service) == ["conversation", "evaluation"]
    hour = 10
    for _ in range(2):
        assert (await service.call("GET", paths[0], user=TEACHER))[0] == 200
    assert await what_was_read(service) == ["conversation", "evaluation", "conversation"]


async def test_reads_of_the_whole_log_and_of_the_learners_courses_are_in_the_record(
    service: Service,
) -> None:
    """Without reads of courses in which they said nothing, or of other learners."""
    await talk(service, LEARNER, "Hello")
    asked = ("", "?course_id=1", "?course_id=2", "?conversation_id=4040", "?user_id=102")
    for query in asked:
        response = await service.request("GET", EVENTS + query, user=AUDITOR)
        assert response.status == 200
    told = (await record(service))["reads"]
    assert [(read["what"], read["course_id"]) for read in told] == [
        (f"GET {EVENTS}", 1),
        (f"GET {EVENTS}", None),
    ]
    assert {read["reader_id"] for read in told} == {AUDITOR}
    headers = {"Accept": "text/html"}
    page = Page()
    page.feed(await (await service.request("GET", RECORD.format("self"), headers=headers)).text())
    assert f"GET {EVENTS}, of course 1" in page.text
    other = (await record(service, "self", user=OTHER_LEARNER))["reads"]
    assert [read["what"] for read in other] == [f"GET {EVENTS}"] * 2


SECRETS = ("102", "actor", "suspicion", "reason", "position", "?")
"""Parts of auditors' requests that a learner's record does not show."""


@pytest.mark.timeout(300)  # many commands, a process each
async def test_a_record_does_not_reveal_auditors_other_subjects(
    service: Service,
) -> None:
    """It shows neither their filters nor their reasons, by any interface, to any reader."""
    number = (await talk(service, LEARNER, "Hello"))["id"]
    other = (await talk(service, OTHER_LEARNER, "Hello"))["id"]
    why = {"X-Audit-Reason": "suspicion of cheating by 102"}
    for query in (
        "?actor_id=102",
        "?actor_id=102&course_id=1",
        f"?user_id={LEARNER}&actor_id=102",
        f"?conversation_id={number}&actor_id=102&note=suspicion",
        f"?user_id={LEARNER}&conversation_id={other}",
        "?type=suspicion_of_102",
    ):
        response = await service.request("GET", EVENTS + query, user=AUDITOR, headers=why)
        assert response.status == (400 if "note" in query else 200)
    replayed = f"/api/v1/audit/conversations/{number}/replay?at=4&note=suspicion"
    assert (await service.request("GET", replayed, user=AUDITOR, headers=why)).status == 200
    for words in (
        ("audit", "events", "--actor", "102"),
        ("audit", "events", "--user", "101", "--actor", "102"),
        ("log", "show", "--conversation", str(number)),
    ):
        environment = {"DATABASE_URL": service.database_url}
        code, _, err = await colloquy(environment, *words, "--reason", why["X-Audit-Reason"])
        assert code == 0, err
    kept = [e.event for e in await service.history() if isinstance(e.event, HistoryRead)]
    await _read_of_old(service)
    given = [await record(service), await record(service, LEARNER, **by(service, "admin"))]
    headers = {"Accept": "text/html"}
    page = Page()
    page.feed(await (await service.request("GET", RECORD.format("self"), headers=headers)).text())
    _, told, _ = await colloquy(environment, "learner", "record", "101")
    _, told_json, _ = await colloquy(environment, "learner", "record", "101", "--json")
    for shown in (given[0], given[1]):
        told_json += msgspec.json.encode(shown["reads"]).decode()
    told_json = told_json.replace('reason":null', "").replace('"acting_user_id"', "")
    reads_told = [line for line in told.splitlines() if line.startswith("  read ")]
    section = page.text.partition("Who has read it")[2]
    for text in (told_json, section, *reads_told):
        for secret in SECRETS:
            assert secret not in text, (secret, text)
    read = given[0]["reads"][-1]
    assert (read["role"], read["what"], read["course_id"]) == ("auditor", f"GET {EVENTS}", None)
    assert read["read_at"]
    assert {e.reason for e in kept[:5]} == {why["X-Audit-Reason"]}, "auditors have it all"
    assert kept[0].what == f"GET {EVENTS}?actor_id=102"
    assert "note" not in str(kept), "nothing that nobody asked a client for"


async def _read_of_old(service: Service) -> None:
    """A read as an earlier release recorded it: the command as it was typed."""
    async with running_log(service.database_url) as (log, _pool, _notifier):
        for what in (
            "colloquy audit events --actor 102 --html 'suspicion of 102'",
            f"GET {EVENTS}?actor_id=102&note=suspicion",
            "GET /api/v1/audit/conversations/4/replay?note=suspicion",
        ):
            read = HistoryRead(what=what, reason="suspicion of 102")
            metadata = Metadata(actor=Actor(AUDITOR, "auditor"))
            await log.append(1, "access", [NewEvent(event=read)], expected=None, metadata=metadata)


async def test_reads_of_both_kinds_are_listed_latest_first(service: Service) -> None:
    shown = await talk(service, LEARNER, "Hello")
    for path, user in (
        (EVENTS, AUDITOR),
        (f"{CONVERSATIONS}/{shown['id']}", TEACHER),
        (EVENTS, AUDITOR),
    ):
        assert (await service.request("GET", path, user=user)).status == 200
    told = (await record(service))["reads"]
    assert [read["reader_id"] for read in told] == [AUDITOR, TEACHER, AUDITOR]


async def test_an_unchanged_answer_is_not_recorded_as_a_read(service: Service) -> None:
    shown = await talk(service, LEARNER, "Hello")
    path = f"{CONVERSATIONS}/{shown['id']}"
    tag = (await service.request("GET", path)).headers["ETag"]
    unchanged = {"If-None-Match": tag}
    assert (await service.request("GET", path, user=TEACHER, headers=unchanged)).status == 304
    assert await reads(service) == []


async def test_a_managers_subscription_to_a_turn_is_recorded(service: Service) -> None:
    shown = await talk(service, LEARNER, "Hello")
    turn = turn_of(await service.history(), "Hello")
    stream = f"{CONVERSATIONS}/{shown['id']}/turns/{turn}/stream"
    assert (await service.request("GET", stream)).status == 200
    assert await reads(service) == []
    assert (await service.request("GET", stream, user=TEACHER)).status == 200
    assert await what_was_read(service) == ["turn"]


async def test_the_record_lists_holds_and_erasures_and_survives_them(
    service: Service,
) -> None:
    await speak_everywhere(service)
    async with running_log(service.database_url) as (log, pool, _notifier):
        holds = LegalHolds(log, pool)
        number = await holds.place(1, LEARNER, "case 12", Metadata(actor=Actor(None, "operator")))
        admin = by(service, "admin")
        (seen,) = (await record(service, LEARNER, **admin))["holds"]
        assert (seen["id"], seen["reason"], seen["released_at"]) == (number, "case 12", None)
        assert [hold["reason"] for hold in (await record(service))["holds"]] == [None]
        await holds.release(1, number, "closed", Metadata(actor=Actor(None, "operator")))
    _, report = await erase(service)
    after = await record(service, LEARNER, **by(service, "admin"))
    assert after["name"] == "[erased]"
    (kept,) = after["conversations"]
    assert (kept["text_kept"], kept["text_removed_at"] is None) == (False, False)
    assert {vote["words"] for vote in kept["votes"]} == {None}
    assert (kept["messages_by_learner"], kept["messages_by_model"]) == (2, 3)
    (erasure,) = after["erasures"]
    assert (erasure["texts"], erasure["reason"]) == (report["erased"]["texts"], "letter of 3 May")


async def test_ids_are_strings_on_request(service: Service) -> None:
    shown = await talk(service, LEARNER, "Hello")
    headers = {"Accept": "application/json+canvas-string-ids"}
    _, body = await service.call("GET", RECORD.format("self"), headers=headers)
    assert (body["user_id"], body["conversations"][0]["id"]) == (str(LEARNER), str(shown["id"]))


class Page(HTMLParser):
    """Collects a page's elements, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_page_escapes_hostile_texts_and_loads_nothing(
    service: Service, owner: Connection
) -> None:
    await owner.execute("UPDATE users SET name = $1 WHERE user_id = $2", HOSTILE, LEARNER)
    shown = await talk(service, LEARNER, HOSTILE)
    vote = {"vote": "liked", "feedback_message": HOSTILE}
    path = f"{CONVERSATIONS}/{shown['id']}/messages/{shown['messages'][-1]['id']}/feedback"
    assert (await service.call("POST", path, json=vote))[0] == 200
    await record(service, LEARNER, **by(service, "admin"))
    headers = {"Accept": "text/html,application/xhtml+xml"}
    response = await service.request("GET", RECORD.format("self"), headers=headers)
    assert response.content_type == "text/html"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page = Page()
    page.feed(await response.text())
    assert page.text.count(HOSTILE) == 2, "the name and the vote"
    assert not page.elements & {"script", "img", "link", "iframe", "form", "a"}
    assert not {name for name in page.attributes if name.startswith("on")} | (
        page.attributes & {"src", "href", "style"}
    )
    for words in ("Conversations", "Who has read it", "learner_record", "kept"):
        assert words in page.text
