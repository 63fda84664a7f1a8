"""The access check is one function, which statements inline."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from eventstore.connections import Connection
from sql.loader import query

CHECKED = {"tokens", "enrollments", "experiences"}
CALLS = {
    "get_access": ("1, '\\x00', NULL, 'ada', 3, 4, 5, 6", {"users", "identities", "courses"}),
    "get_active_conversation": ("1, '\\x00', NULL, 4, 5", set()),
}


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_the_check_is_inlined_in_each_statement(owner: Connection, plans: str) -> None:
    """The plan has no call of it, and no look-up that the statement does not need."""
    await owner.execute(f"SET plan_cache_mode = {plans}")
    await owner.execute("SET ROLE colloquy_service; SET colloquy.account = '1'")
    for name, (arguments, more) in CALLS.items():
        assert query(name).count("get_access_v1(") == 1
        await owner.execute(f"PREPARE checked AS {query(name)}")
        text = await owner.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE checked({arguments})")
        await owner.execute("DEALLOCATE checked")
        found = list(nodes(msgspec.json.decode(text)[0]["Plan"]))
        assert "Function Scan" not in {node["Node Type"] for node in found}, name
        looked_up = {node["Relation Name"] for node in found if "Relation Name" in node}
        of_the_check = CHECKED | {"users", "identities", "courses"}
        assert looked_up & of_the_check == CHECKED | more, name
