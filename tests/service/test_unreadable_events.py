"""An event that this program cannot read stands in nobody's way."""

import json
from typing import Any
from uuid import uuid4

from eventstore.connections import connect
from eventstore.event import Unreadable
from tests.running import Service, colloquy, running_service

GONE = {"owner": 1, "deadline_at": "2026-01-01T00:00:00Z", "course_id": 1, "experience_id": 1}


async def plant(service: Service, stream: str, *facts: dict[str, Any]) -> None:
    """Appends what this program never would."""
    system = {"actor": {"id": None, "role": "system"}}
    connection = await connect(service.database_url)
    try:
        await connection.execute(
            "SELECT append_facts_v1(1, $1, $2::text[]::jsonb[], $3::text::jsonb)",
            [stream] * len(facts),
            [json.dumps(fact) for fact in facts],
            json.dumps(system),
        )
    finally:
        await connection.close()


async def test_a_dialogue_goes_on_and_its_learner_can_be_erased(demo_url: str) -> None:
    """Past an event of a type that nobody knows, and past a reply without its record."""
    async with running_service(demo_url) as service:
        learner = await service.enroll()
        conversation = await service.open(learner)
        here = {"conversation_id": conversation["id"]}
        asked = here | GONE | {"type": "message_posted.v1", "turn_id": str(uuid4())}
        asked |= {"message_id": str(uuid4()), "user_id": learner, "model": "m"}
        ended = {"type": "reply_completed.v1", "turn_id": asked["turn_id"]}
        await plant(
            service,
            f"dialogue-1-{learner}",
            here | {"type": "conversation_paused.v1"},
            asked,
            here | ended | {"message_id": str(uuid4())},
        )
        unreadable = [e for e in await service.history() if isinstance(e.event, Unreadable)]
        assert len(unreadable) == 2
        status, body = await service.say(conversation["id"], "Are you there?", learner)
        assert status == 200, body
        assert (await service.active(learner))["messages"][-2]["text"] == "Are you there?"
        assert (await service.open(learner))["id"] != conversation["id"]
    environment = {"DATABASE_URL": demo_url}
    records = ("analytics", "statements", "--format", "xapi", "--iri", "https://colloquy.test")
    erasing = ("learner", "erase", str(learner), "--reason", "asked", "--yes")
    for command in (records, erasing, ("projections", "rebuild", "--all")):
        code, out, err = await colloquy(environment, *command)
        assert code == 0, (out, err)


async def test_an_experience_is_as_its_last_readable_event_has_it(demo_url: str) -> None:
    async with running_service(demo_url) as service:
        await plant(service, "experience-1", {"type": "experience_painted.v1", "experience_id": 1})
        path = "/api/v1/courses/1/ai_experiences/1"
        assert (await service.call("GET", path, user=1))[0] == 200
        change = {"ai_experience": {"title": "Another title"}}
        status, edited = await service.call("PUT", path, user=1, json=change)
        assert (status, edited["title"]) == (200, "Another title"), edited
        assert (await service.say((await service.open())["id"], "Hello"))[0] == 200
