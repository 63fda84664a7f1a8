"""Caliper 1.2 events, held to the tables of the specification.

No package that could be installed has a JSON Schema of Caliper 1.2; so `RULES` says, from the
specification's text, what each type of event and entity must and may hold, and anything else fails.
"""

import re
from typing import Any

import msgspec
import pytest

from eventstore.connections import AccountPool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from service.analytics.learning_records.caliper import CONTEXT, envelope
from tests.eventstore.building import append_steps
from tests.service.analytics.course_history import BASE, NAMES, TEACHER, decoded, everything, lines

Parts = tuple[EventLog, AccountPool, Notifier]

IRI = re.compile(r"^(https?://[^\s/]+(/\S*)?|urn:uuid:[0-9a-f-]{36})$")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")

EVENTS: dict[str, tuple[str, set[str], set[str], set[str], set[str]]] = {
    # type: profile, actors, actions, objects, generated
    "AssignableEvent": (
        "AssignableProfile",
        {"Person"},
        {"Activated", "Completed", "Deactivated", "Reviewed", "Started", "Submitted"},
        {"AssignableDigitalResource"},
        {"Attempt"},
    ),
    "MessageEvent": (
        "ForumProfile",
        {"Person"},
        {"MarkedAsRead", "MarkedAsUnread", "Posted"},
        {"Message"},
        set(),
    ),
    "ToolUseEvent": (
        "ToolUseProfile",
        {"Person"},
        {"Used"},
        {"SoftwareApplication"},
        {"AggregateMeasureCollection"},
    ),
    "FeedbackEvent": (
        "FeedbackProfile",
        {"Person"},
        {"Commented", "Ranked"},
        {"Message"},
        {"Rating", "Comment"},
    ),
    "Event": ("GeneralProfile", {"Person"}, {"Ended", "Removed"}, {"Attempt", "Rating"}, set()),
}
REQUIRED = {"@context", "id", "type", "profile", "actor", "action", "object", "eventTime"}
OPTIONAL = {"edApp", "generated", "target", "referrer", "group", "membership", "session"} | {
    "federatedSession",
    "extensions",
}
ENTITIES: dict[str, tuple[set[str], set[str]]] = {
    # type: properties that must be there, beside id and type, and that may be
    "Person": (set(), set()),
    "SoftwareApplication": (set(), {"version"}),
    "CourseSection": (set(), {"courseNumber", "academicSession", "category"}),
    "AssignableDigitalResource": (set(), {"isPartOf", "maxScore", "mediaType"}),
    "Attempt": (set(), {"assignee", "assignable", "count", "startedAtTime", "endedAtTime"}),
    "Message": (set(), {"replyTo", "body", "attachments", "creators", "isPartOf"}),
    "Thread": (set(), {"items", "isPartOf"}),
    "Rating": (set(), {"rater", "rated", "question", "selections", "ratingComment"}),
    "AggregateMeasureCollection": ({"items"}, {"isOrdered"}),
    "AggregateMeasure": (
        {"metric", "metricValue"},
        {"maxMetricValue", "startedAtTime", "endedAtTime"},
    ),
}
OF_EACH = {"id", "type", "name", "description", "dateCreated", "dateModified", "extensions"}
METRICS = {"AssessmentsPassed", "AssessmentsSubmitted", "MinutesOnTask", "SkillsMastered"} | {
    "StandardsMastered",
    "UnitsCompleted",
    "UnitsPassed",
    "WordsRead",
}


def check_event(event: dict[str, Any]) -> None:
    profile, actors, actions, objects, generated = EVENTS[event["type"]]
    assert set(event) >= REQUIRED
    assert set(event) <= REQUIRED | OPTIONAL
    assert event["@context"] == CONTEXT
    assert re.match(r"^urn:uuid:[0-9a-f-]{36}$", event["id"])
    assert event["profile"] == profile
    assert event["actor"]["type"] in actors
    assert event["action"] in actions
    assert event["object"]["type"] in objects
    assert ("generated" in event) == bool(generated)
    if generated:
        assert event["generated"]["type"] in generated
    assert event["edApp"]["type"] == "SoftwareApplication"
    assert event["group"]["type"] == "CourseSection"
    assert TIME.match(event["eventTime"])
    assert all(IRI.match(name) for name in event["extensions"])
    for name in ("actor", "object", "edApp", "group", *(["generated"] if generated else [])):
        check_entity(event[name])


def check_entity(entity: dict[str, Any]) -> None:
    required, optional = ENTITIES[entity["type"]]
    assert set(entity) >= {"id", "type"} | required
    assert set(entity) <= OF_EACH | required | optional
    assert IRI.match(entity["id"]), entity["id"]
    for name, value in entity.items():
        if name in ("assignee", "assignable", "rater", "rated") and isinstance(value, str):
            assert IRI.match(value)
        if name.startswith("date") or name.endswith("Time"):
            assert TIME.match(value), value
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict) and name != "extensions":
                check_entity(part)
    if entity["type"] == "AggregateMeasure":
        assert entity["metric"] in METRICS
        assert 0 <= entity["metricValue"] <= entity["maxMetricValue"]


async def made(parts: Parts) -> list[dict[str, Any]]:
    log, pool, _ = parts
    await append_steps(log, everything())
    return decoded(await lines(pool, "caliper"))


async def test_every_event_conforms_to_the_specification(log_parts: Parts) -> None:
    events = await made(log_parts)
    for event in events:
        check_event(event)
    assert {event["type"] for event in events} == set(EVENTS), "each is there once"


@pytest.mark.parametrize(
    "damage",
    [
        {"profile": "SessionProfile"},
        {"action": "Evaluated"},
        {"id": "1"},
        {"eventTime": "2026-01-02T03:04:05Z"},
        {"more": 1},
        {"actor": {"id": "https://x/1", "type": "Person", "email": "a@b.c"}},
    ],
)
async def test_the_check_finds_violations(log_parts: Parts, damage: dict[str, Any]) -> None:
    first = (await made(log_parts))[0]
    check_event(first)
    with pytest.raises(AssertionError):
        check_event(first | damage)


async def test_each_event_becomes_its_action(log_parts: Parts) -> None:
    events = await made(log_parts)
    assert [f"{event['type']} {event['action']}" for event in events] == [
        "AssignableEvent Started",
        "MessageEvent Posted",
        "ToolUseEvent Used",
        "MessageEvent Posted",
        "MessageEvent Posted",
        "MessageEvent Posted",
        "AssignableEvent Completed",
        "FeedbackEvent Ranked",
        "FeedbackEvent Ranked",
        "Event Removed",
        "Event Ended",
        "AssignableEvent Started",
    ]
    [measure] = events[2]["generated"]["items"]
    assert (measure["metricValue"], measure["maxMetricValue"]) == (1, 3)
    assert events[8]["actor"]["id"] == f"{BASE}/accounts/1/users/{TEACHER}"
    assert [events[n]["generated"]["selections"] for n in (7, 8)] == [["liked"], ["disliked"]]
    assert events[9]["object"]["id"] == events[7]["generated"]["id"]
    assert events[0]["generated"]["id"] == events[10]["object"]["id"] != events[11]["id"]


async def test_an_envelope_names_its_sensor_and_has_the_unchanged_events(
    log_parts: Parts,
) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    events = await lines(pool, "caliper")
    sent = msgspec.json.decode(envelope(NAMES, events))
    assert set(sent) == {"sensor", "sendTime", "dataVersion", "data"}
    assert (sent["sensor"], sent["dataVersion"]) == (BASE, CONTEXT)
    assert TIME.match(sent["sendTime"])
    assert sent["data"] == decoded(events)
