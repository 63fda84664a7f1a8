"""The costs and plans of the statements of requests and of the service's workers.

Plans are kept: they must be right for tables that were empty, or analyzed while empty, when they
were made.
"""

from eventstore.connections import Role
from eventstore.envelope import NO_END
from tests.costs import Costs, Part, School, Session

WHOLE = str(NO_END)
BY_TOKEN = "sha256('{user}'::bytea)"
READS = {
    "get_access": f"1, {BY_TOKEN}, NULL, NULL, NULL, 1, {{experience}}, {{user}}",
    "get_access, signed": "1, NULL, NULL, 'user-{user}', NULL, 1, {experience}, {user}",
    "get_access, as another": f"1, {BY_TOKEN}, NULL, NULL, 3, 1, 5, {{user}}",
    "get_active_conversation": f"1, {BY_TOKEN}, NULL, 1, {{experience}}",
    "get_active_conversation, of another": "1, NULL, {user}, 1, {experience}",
    "get_conversation": "1, {user}, {user}",
    "list_messages": "1, {user}",
    "has_removed_text": "1, {user}",
    "get_experience_version": "1, {user}",
    "get_evaluation": "1, {user}, 1",
    "get_message": "1, {user}, '{message}'",
    "get_feedback": "1, {user}, '{message}', gen_random_uuid()",
    "find_request": "1, {user}, 'k{user}'",
    "find_opening": "1, {user}",
    "find_appended": "1, ARRAY[gen_random_uuid(), gen_random_uuid()]",
    "read_stream": f"1, '{{stream}}', 0, 'conversation_started.v1', {WHOLE}",
    "read_stream, upto": "1, '{stream}', 4, NULL, 5",
    "read_turn": "1, {user}, 'no-such-turn', 0",
    "read_conversation": "1, {user}, 0, 500",
    "read_all": "1, 100, 50",
    "get_log_head": "1",
    "get_first_event": "1",
    "get_recorded_at": "1, 77",
    "list_reads": "1, 'access-{user}', {user}",
    "list_learners_conversations": "1, {user}",
    "list_learners_active": "1, {user}",
    "list_learners_turns": "1, {user}",
    "list_open_holds": "1, {user}",
    "list_holds": "1, {user}",
    "get_hold": "1, 1",
    "get_user_name": "1, {user}",
    "list_retention_rules": "1",
    "list_erased_since": "1, ARRAY[{user}, 3], 5",
    "list_student_conversations": "1, 1, {experience}, {user}, 11, 0",
    "list_experiences": "1, 1, {user}, ARRAY['published', 'unpublished'], 2, 11, 0",
    "has_course": "1, 1",
    "next_id": "1, 'conversation'",
    "get_tree_head": "1, NULL",
    "list_tree_heads": "1, 0, 10",
}
OWN_WORK = {
    "find_token_account": BY_TOKEN,
    "ready": "",
    "list_abandoned_turns": "",
    "is_owner_gone": "5",
    "list_followers_behind": "",
    "list_sealing": "NULL",
    "get_tree_size": "1, 256",
    "read_tiles": "1, ARRAY[0, 1], ARRAY[0, 0]",
    "get_leaf_hashes": "1, 100, 120",
    "list_accounts_with_rules": "",
    "list_accounts": "",
}


def part_of(role: Role, reads: dict[str, str]) -> Part:
    """Statements of `sql/queries` by name, with their values as SQL."""

    async def rehearse(_school: School, session: Session) -> None:
        for read, values in reads.items():
            await session.read(read.partition(",")[0], filled(values, "", 4, 5, "dialogue-5-4"))

    async def measure(school: School, session: Session) -> Costs:
        learner = school.usual[3]
        known = (
            learner.replies[0].message_id,
            learner.user_id,
            learner.experience_id,
            learner.stream,
        )
        return {
            read: await session.read(read.partition(",")[0], filled(values, *known))
            for read, values in reads.items()
        }

    return Part(role, rehearse, measure)


def filled(values: str, message: str, user: int, experience: int, stream: str) -> str:
    """Values with those of a learner and something that the model said to them."""
    message = message or "00000000-0000-0000-0000-000000000000"
    return values.format(message=message, user=user, experience=experience, stream=stream)


REQUESTS = part_of("colloquy_service", READS)
WORK = part_of("colloquy_worker", OWN_WORK)
