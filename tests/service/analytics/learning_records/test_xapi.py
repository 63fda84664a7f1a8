"""xAPI statements: their events, their determinism, and the absence of texts."""

from typing import Any

from eventstore.connections import AccountPool
from eventstore.log import EventLog
from eventstore.notifier import Notifier
from tests.eventstore.building import append_steps
from tests.service.analytics.course_history import (
    BASE,
    SECRET_WORDS,
    TEACHER,
    decoded,
    everything,
    learning_events,
    lines,
)

Parts = tuple[EventLog, AccountPool, Notifier]
ADL = "http://adlnet.gov/expapi/verbs/"
EXPERIENCE = f"{BASE}/accounts/1/courses/1/experiences/1"


async def made(parts: Parts) -> list[dict[str, Any]]:
    log, pool, _ = parts
    await append_steps(log, everything())
    return decoded(await lines(pool))


async def test_each_event_becomes_its_verb(log_parts: Parts) -> None:
    verbs = [statement["verb"]["id"] for statement in await made(log_parts)]
    assert verbs == [
        f"{ADL}initialized",
        f"{ADL}responded",
        f"{ADL}progressed",
        f"{ADL}responded",
        f"{ADL}responded",
        f"{ADL}responded",
        f"{ADL}completed",
        "http://activitystrea.ms/schema/1.0/like",
        "http://activitystrea.ms/schema/1.0/dislike",
        "http://activitystrea.ms/schema/1.0/retract",
        "https://w3id.org/xapi/acrossx/verbs/evaluated",
        f"{ADL}terminated",
        f"{ADL}initialized",
    ]


async def test_a_statement_has_its_events_id_and_time_and_the_learners_number(
    log_parts: Parts,
) -> None:
    _, pool, _ = log_parts
    statements = await made(log_parts)
    of = {str(e.event_id): e for e in await learning_events(pool)}
    assert len({s["id"] for s in statements}) == len(statements)
    for statement in statements:
        assert statement["timestamp"] == of[statement["id"]].recorded_at.isoformat().replace(
            "+00:00", "Z"
        )
    first = statements[0]
    account = {"homePage": f"{BASE}/accounts/1", "name": "101"}
    assert first["actor"] == {"objectType": "Agent", "account": account}
    assert first["object"]["id"] == EXPERIENCE
    assert first["object"]["definition"]["name"] == {"und": "Tides"}
    [parent] = first["context"]["contextActivities"]["parent"]
    assert parent["id"] == f"{BASE}/accounts/1/courses/1"


async def test_progress_counts_all_assessments_so_far(log_parts: Parts) -> None:
    results = [s["result"] for s in await made(log_parts) if "result" in s]
    progress = "https://w3id.org/xapi/cmi5/result/extensions/progress"
    assert [(r["score"], r["completion"], r["extensions"][progress]) for r in results] == [
        ({"scaled": 0.3333, "raw": 1, "min": 0, "max": 3}, False, 33),
        ({"scaled": 1.0, "raw": 3, "min": 0, "max": 3}, True, 100),
    ]
    findings = [r["extensions"][f"{BASE}/xapi/extensions/objectives"] for r in results]
    assert findings == [[2], [1, 3]]
    assert not any("success" in r for r in results), "nobody has passed anybody"


async def test_a_conversation_is_one_registration(log_parts: Parts) -> None:
    statements = await made(log_parts)
    pairs = {
        (
            s["context"]["extensions"][f"{BASE}/xapi/extensions/conversation"],
            s["context"]["registration"],
        )
        for s in statements
    }
    assert len(pairs) == len({registration for _, registration in pairs}) == 2


async def test_a_votes_actor_is_the_voter_and_its_object_the_message(log_parts: Parts) -> None:
    statements = {s["verb"]["display"]["en"]: s for s in await made(log_parts)}
    liked, disliked, retracted = (statements[word] for word in ("liked", "disliked", "retracted"))
    assert disliked["actor"]["account"]["name"] == str(TEACHER)
    assert liked["object"]["id"].startswith(f"{BASE}/accounts/1/conversations/1/messages/")
    vote = liked["context"]["extensions"][f"{BASE}/xapi/extensions/feedback"]
    assert retracted["object"]["id"] == vote
    assert liked["context"]["contextActivities"]["parent"][0]["id"] == EXPERIENCE


async def test_an_evaluation_is_the_services(log_parts: Parts) -> None:
    [evaluated] = [s for s in await made(log_parts) if s["verb"]["display"]["en"] == "evaluated"]
    assert evaluated["actor"]["account"] == {"homePage": BASE, "name": "colloquy"}
    assert "result" not in evaluated


async def test_the_same_log_gives_the_same_bytes_without_texts(log_parts: Parts) -> None:
    log, pool, _ = log_parts
    await append_steps(log, everything())
    for kind in ("xapi", "caliper"):
        once = await lines(pool, kind)
        assert once == await lines(pool, kind)
        assert SECRET_WORDS not in b"".join(once).decode()
