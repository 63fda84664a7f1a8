"""The demo: two courses, their users with tokens, and three experiences."""

from pathlib import Path

import msgspec

from eventstore.connections import Connection
from eventstore.durable_files import replace_file
from eventstore.envelope import Actor, Metadata
from eventstore.running_log import running_log
from eventstore.trusted_paths import OTHERS_ACCESS, make_trusted_folder, read_trusted
from service.experiences.experiences import ExperienceDraft, Experiences
from service.identity.roster import Enrollment, Role, import_roster
from service.identity.tokens import create_token, digest
from sql.loader import query
from sql.migrator import schema_lock

ACCOUNT = 1
TOKENS_FILE = "demo-tokens.json"
LEARNER = 101

_MEMBERS: tuple[tuple[int, int, str, Role], ...] = (
    (1, 1, "Demo teacher", "teacher"),
    (1, 101, "Demo learner 101", "learner"),
    (1, 102, "Demo learner 102", "learner"),
    (1, 103, "Demo learner 103", "learner"),
    (1, 900, "Demo auditor", "observer"),
    (1, 901, "Demo analyst", "observer"),
    (2, 2, "Demo teacher of course 2", "teacher"),
    (2, 201, "Demo learner of course 2", "learner"),
)
_ROSTER = [
    Enrollment(course_id=course, user_id=user, name=name, role=role, status="active")
    for course, user, name, role in _MEMBERS
]
_SCOPES: dict[int, tuple[str, ...]] = {
    900: ("colloquy:audit",),
    901: ("colloquy:analytics",),
}
_TIDES = ExperienceDraft(
    title="Why the tide comes back",
    description="A walk along a harbour wall at low tide, with a tutor who only asks.",
    facts=(
        "The Moon's gravity pulls more strongly on the near side of the Earth than on the far "
        "side. The difference stretches the oceans into two bulges. The Earth turns through "
        "both in a little more than a day, so most coasts have two high tides a day, each day "
        "about 50 minutes later."
    ),
    learning_objective=(
        "Explain why most coasts have two high tides a day\n"
        "Explain why high tide is later each day\n"
        "Predict when tides are highest in a month"
    ),
    pedagogical_guidance="Start from what the learner has seen at the sea. Use sketches in words.",
    workflow_state="published",
)
_DRAFT = ExperienceDraft(
    title="Interview with a lighthouse keeper",
    description="A role-play that its teacher has not published yet.",
    learning_objective="Ask open questions\nTell a fact from an opinion",
    pedagogical_guidance="Stay in the role of the keeper.",
)
_OTHER_COURSE = ExperienceDraft(
    title="The baker's fractions",
    description="Dividing dough in a bakery, for course 2 only.",
    learning_objective="Compare two fractions",
    pedagogical_guidance="Work with halves and thirds first.",
    workflow_state="published",
)
_EXPERIENCES = ((1, 1, _TIDES), (1, 1, _DRAFT), (2, 2, _OTHER_COURSE))
"""Course, teacher and text of each."""


async def make_demo(connection: Connection, url: str, home: Path) -> dict[str, str]:
    """Creates the missing parts of the demo.

    Args:
        connection: The owner's.
        url: The owner's connection URL.
        home: The folder of the file with the tokens, which only its owner can read.

    Returns:
        The tokens by user id.

    Raises:
        PathUntrusted: Another user could have prepared the file or the home.
    """
    make_trusted_folder(home, 0o711)
    async with schema_lock(connection):  # two simultaneous starts create one demo
        await import_roster(connection, ACCOUNT, _ROSTER)
        await _create_missing(connection, url)
        return await _tokens(connection, home / TOKENS_FILE)


async def _create_missing(connection: Connection, url: str) -> None:
    titles = {
        (course, row["title"])
        for course in {course for course, _, _ in _EXPERIENCES}
        for row in await connection.fetch(query("list_course_experiences"), ACCOUNT, course)
    }
    missing = [e for e in _EXPERIENCES if (e[0], e[2].title) not in titles]
    if not missing:
        return
    async with running_log(url) as (log, pool, _notifier):
        experiences = Experiences(log, pool)
        for course, teacher, draft in missing:
            metadata = Metadata(actor=Actor(teacher, "teacher"))
            await experiences.create(ACCOUNT, course, draft, metadata)


async def _tokens(connection: Connection, file: Path) -> dict[str, str]:
    tokens: dict[str, str] = {}
    if file.exists():
        saved = msgspec.json.decode(read_trusted(file, OTHERS_ACCESS), type=dict[str, str])
        working = {
            row["token_hash"] for row in await connection.fetch(query("list_working_hashes"))
        }
        tokens = {user: token for user, token in saved.items() if digest(token) in working}
    for user_id in {e.user_id: None for e in _ROSTER}:
        if str(user_id) not in tokens:
            scopes = _SCOPES.get(user_id, ())
            tokens[str(user_id)] = await create_token(connection, ACCOUNT, user_id, scopes)
    content = msgspec.json.format(msgspec.json.encode(tokens))
    replace_file(file, content, 0o600, draft=file.with_suffix(".new").name)
    return tokens


def greeting(tokens: dict[str, str], address: str, model: str) -> str:
    """The tokens and a first conversation to try, as lines for the terminal.

    Args:
        address: The service's URL, without a final slash.
        model: The name of the model that replies.
    """
    base = f"{address}/api/v1/courses/1/ai_experiences/1/conversations"
    names = {str(e.user_id): e.name for e in _ROSTER}
    token_lines = "\n".join(f"  {user:>4}  {names[user]:<26}{tokens[user]}" for user in names)
    return f"""
Demo tokens, by user id:
{token_lines}

The model is {model}. Try it as learner {LEARNER}, in another terminal:

  TOKEN={tokens[str(LEARNER)]}
  BASE={base}
  curl -H "Authorization: Bearer $TOKEN" $BASE
  curl -H "Authorization: Bearer $TOKEN" -X POST $BASE
  ID=1      # the id in that answer
  curl -H "Authorization: Bearer $TOKEN" $BASE/$ID/messages \\
       -d message='The Moon pulls the water, I think.'
  curl -H "Authorization: Bearer $TOKEN" -X DELETE $BASE/$ID

  .venv/bin/colloquy log show       every word of it, from the log
"""
