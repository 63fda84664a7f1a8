"""Hostile text that would control an operator's terminal."""

import asyncio
from pathlib import Path

from eventstore.connections import Connection, connect
from eventstore.envelope import Actor, Metadata, NewEvent
from eventstore.privacy_events import HistoryRead
from eventstore.running_log import running_log
from service.privacy.legal_holds import LegalHolds
from tests.eventstore.building import Learner, append, append_steps, experience_created

GENUINE = "verified: nothing is wrong"
CONTROLS = "\x1b[2J\x1b[1;1H\x9b31m\x7f\x08\r\u202e\u2066\u200f\u2028\u0085\U000e0041"
HOSTILE = f"{CONTROLS}\n{GENUINE}\ncolloquy: all is well"
USER = 101
OPERATOR = Metadata(actor=Actor(None, "operator"))


async def fill(url: str) -> None:
    """Puts hostile text wherever the database stores text."""
    owner = await connect(url)
    try:
        await _roster(owner)
        async with running_log(url) as (log, pool, _notifier):
            learner = Learner(USER)
            said = [learner.asks_to_open(), learner.opens(HOSTILE), learner.says(HOSTILE)]
            failed = [learner.is_answered(HOSTILE), learner.says("Why?")]
            failed += [learner.is_not_answered(HOSTILE, partial=HOSTILE)]
            await append_steps(log, [experience_created(title=HOSTILE), *said, *failed])
            read = HistoryRead(what=HOSTILE, learner_id=USER, conversation_id=1, reason=HOSTILE)
            await append(log, f"access-{USER}", NewEvent(event=read))
            await append(log, HOSTILE, NewEvent(event=read))
            await LegalHolds(log, pool).place(1, USER, HOSTILE, OPERATOR)
        await owner.execute(
            "UPDATE projection_checkpoints SET error = $1, error_position = 1",
            HOSTILE,
        )
    finally:
        await owner.close()


async def _roster(owner: Connection) -> None:
    for statement in (
        "UPDATE accounts SET name = $1",
        "INSERT INTO users VALUES (1, 101, $1)",
        "INSERT INTO identities VALUES (1, $1, 101)",
        "INSERT INTO tokens (account_id, user_id, token_hash, scopes) VALUES (1, 101, 'x', "
        "ARRAY[$1])",
    ):
        await owner.execute(statement, HOSTILE)
    await owner.execute("INSERT INTO courses VALUES (1, 1)")


def hostile_files(folder: Path) -> dict[str, Path]:
    """Files with hostile names and contents."""
    texts = {
        "csv": f'course_id,user_id,name,role,status\n1,5,Ada,"{HOSTILE}",active\n{CONTROLS}\n',
        "json": f'{{"{CONTROLS[5:7]}": 1}}',
        "keys": f"{HOSTILE}+x+y",
    }
    files = {}
    for ending, text in texts.items():
        files[ending] = folder / f"{HOSTILE.replace('/', '')}.{ending}"
        files[ending].write_text(text, "utf-8")
    return files


def filled(url: str) -> None:
    """As `fill`, for tests that are not async."""
    asyncio.run(fill(url))
