"""Statements have forms whose cost the planner cannot change."""

import pytest

from projections.definitions import definitions
from projections.statement_forms import form_faults
from sql import loader

SHIPPED = [
    (name, place, statement)
    for name, known in definitions().items()
    for place, statement in enumerate(known.statements, 1)
]
RANGE = (
    "e.account_id = apply.account AND e.position > apply.after_position"
    " AND e.position <= apply.upto_position"
)


@pytest.mark.parametrize(("name", "place", "statement"), SHIPPED, ids=lambda part: str(part)[:40])
def test_every_statement_of_ours_has_a_form_whose_plan_cannot_be_wrong(
    name: str, place: int, statement: str
) -> None:
    assert form_faults(statement) == [], f"{name}, statement {place}"


def test_the_template_has_such_a_form_too() -> None:
    files = loader.template("mine")
    assert form_faults(files["1_count.sql"]) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            f"DELETE FROM turns t USING events e WHERE {RANGE} AND t.id = e.data->>'id'",
            "DELETE … USING joins in an order that the planner chooses",
        ),
        (
            f"UPDATE turns t SET seen = e.position FROM events e WHERE {RANGE} AND t.id = e.id",
            "UPDATE … FROM joins in an order that the planner chooses",
        ),
        ("DELETE FROM turns t WHERE t.seen < apply.upto_position", "DELETE reads its whole table"),
        ("UPDATE turns SET seen = 1", "UPDATE reads its whole table"),
        (
            f"MERGE INTO turns t USING (SELECT e.id FROM events e WHERE {RANGE}) s ON t.id = s.id"
            " WHEN MATCHED THEN DELETE",
            "MERGE joins in an order that the planner chooses",
        ),
        (
            f"INSERT INTO seen SELECT e.id FROM events e, turns t WHERE {RANGE} AND t.id = e.id",
            "e and t are joined freely",
        ),
        (
            f"INSERT INTO seen SELECT e.id FROM events e LEFT JOIN turns t ON t.id = e.id"
            f" WHERE {RANGE}",
            "e and t are joined freely",
        ),
        (
            f"INSERT INTO seen SELECT n.id FROM (SELECT e.id FROM events e WHERE {RANGE}) n"
            " JOIN (SELECT t.id FROM turns t WHERE true) k ON k.id = n.id",
            "n and k are joined freely",
        ),
        (
            f"INSERT INTO seen SELECT e.id FROM events e FULL JOIN turns t ON t.id = e.id"
            f" WHERE {RANGE}",
            "FULL JOIN reads all of t",
        ),
        ("INSERT INTO seen SELECT e.id FROM events e", "e is read whole"),
        (
            f"INSERT INTO seen SELECT k.id FROM events e CROSS JOIN LATERAL"
            f" (SELECT t.id FROM turns t WHERE t.id = e.id) k WHERE {RANGE}",
            "the look-up in t has no OFFSET 0 or LIMIT",
        ),
        (
            f"INSERT INTO seen SELECT e.id FROM events e WHERE {RANGE}"
            " AND e.id NOT IN (SELECT t.id FROM turns t WHERE true)",
            "EXISTS, IN and ANY of a SELECT",
        ),
        (
            f"INSERT INTO seen SELECT e.id FROM events e WHERE {RANGE}"
            " AND EXISTS (SELECT FROM turns t WHERE t.id = e.id)",
            "EXISTS, IN and ANY of a SELECT",
        ),
        ("INSERT INTO seen SELECT (", "it cannot be read"),
        (
            f"INSERT INTO seen SELECT e.id FROM events e WHERE {RANGE}"
            " AND e.id = ANY (SELECT t.id FROM turns t WHERE true)",
            "EXISTS, IN and ANY of a SELECT",
        ),
        (
            f"INSERT INTO seen SELECT min(e.id) FROM events e WHERE {RANGE} GROUP BY e.stream"
            " HAVING EXISTS (SELECT FROM turns t WHERE t.id = min(e.id))",
            "EXISTS, IN and ANY of a SELECT",
        ),
        ("UPDATE turns t SET seen = (1 = ANY (t.list))::int", "UPDATE reads its whole table"),
    ],
)
def test_a_form_whose_cost_the_planner_can_change_is_reported(statement: str, fault: str) -> None:
    faults = form_faults(statement)
    assert [fault] == [found[: len(fault)] for found in faults]


@pytest.mark.parametrize(
    "statement",
    [
        f"INSERT INTO seen SELECT e.id FROM events e WHERE {RANGE} AND e.type IN ('a', 'b')",
        f"DELETE FROM turns t WHERE t.id = ANY (ARRAY(SELECT e.id FROM events e WHERE {RANGE}))",
        f"INSERT INTO turns AS t SELECT k.id FROM events e CROSS JOIN LATERAL"
        f" (SELECT r.id FROM turns r WHERE r.id = e.id OFFSET 0) k WHERE {RANGE}"
        " ON CONFLICT (id) DO UPDATE SET seen = t.seen + 1",
        f"INSERT INTO turns AS t SELECT k.id FROM (SELECT e.id FROM events e WHERE {RANGE}) n"
        " CROSS JOIN LATERAL (SELECT r.id FROM turns r WHERE r.id = n.id OFFSET 0) k"
        " ON CONFLICT (id) DO UPDATE SET seen = t.seen + 1 RETURNING t.id",
        f"INSERT INTO seen SELECT c.value FROM events e,"
        f" jsonb_array_elements(e.data->'covered') AS c (value) WHERE {RANGE}",
        f"INSERT INTO seen SELECT coalesce(a.id, z.id) FROM (SELECT e.id FROM events e"
        f" WHERE {RANGE}) a FULL JOIN (SELECT e.id FROM events e WHERE {RANGE}) z ON z.id = a.id",
        f"WITH n AS (SELECT e.id FROM events e WHERE {RANGE}) INSERT INTO seen SELECT n.id FROM n",
        f"INSERT INTO seen SELECT EXISTS (SELECT FROM turns t WHERE t.id = e.id) FROM events e"
        f" WHERE {RANGE}",
    ],
)
def test_a_form_of_fixed_cost_is_accepted(statement: str) -> None:
    assert form_faults(statement) == []
