"""The forms of a statement over a range whose cost does not depend on the planner's choice.

A plan is made from statistics, which say that a table is empty where it was when they were
collected, and may be kept while the table grows. In these forms there is nothing to choose from but
the index of a look-up:

- INSERT … SELECT from the range;
- the same with ON CONFLICT DO UPDATE by the full key, which is looked up without a plan;
- UPDATE and DELETE of one table with ``key = ANY (ARRAY(SELECT … FROM the range))``, by ``ctid``
  where the key has several columns, since PostgreSQL 15 and 16 may look up the first of them only;
- the range CROSS JOIN LATERAL a look-up by the full key, fenced by OFFSET 0 or LIMIT.
"""

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# The parser takes an ON after a CROSS JOIN for the join's, where it is that of ON CONFLICT.
_JOINED_UPSERT = re.compile(r"(\)\s+(?:AS\s+)?\w+)(\s+ON\s+CONFLICT)", re.IGNORECASE)

_LOOK_UP = "look each row up by its key instead, CROSS JOIN LATERAL (SELECT … OFFSET 0)"
_UPSERT = "give it the values by INSERT … ON CONFLICT DO UPDATE"
_ARRAY = "compare its key = ANY (ARRAY(SELECT … FROM the range)) instead"


def form_faults(statement: str) -> list[str]:
    """What in a statement leaves its cost to the planner, each fault once; none if nothing does.

    Args:
        statement: SQL of PostgreSQL, one statement or several.
    """
    readable = _JOINED_UPSERT.sub(r"\1 WHERE true\2", statement)
    try:
        parsed = [part for part in sqlglot.parse(readable, dialect="postgres") if part]
    except SqlglotError as error:
        return [f"it cannot be read: {str(error).splitlines()[0]}"]
    return list(dict.fromkeys(fault for part in parsed for fault in _faults(part)))


def _faults(statement: exp.Expr) -> Iterator[str]:
    derived = {cte.alias for cte in statement.find_all(exp.CTE)}
    for node in statement.walk():
        match node:
            case exp.Update():
                yield from _write_faults(node, "UPDATE … FROM", "from_", f"{_ARRAY}, or {_UPSERT}")
            case exp.Delete():
                yield from _write_faults(node, "DELETE … USING", "using", _ARRAY)
            case exp.Merge():
                yield f"MERGE joins in an order that the planner chooses: {_UPSERT}"
            case exp.Select():
                yield from _join_faults(node, derived)
            case exp.Lateral():
                yield from _fence_faults(node)
            case exp.Exists() | exp.In() | exp.Any() if _asks(node) and not _is_shown(node):
                yield (
                    "EXISTS, IN and ANY of a SELECT are joined in an order that the planner "
                    "chooses: use = ANY (ARRAY(SELECT …))"
                )


def _write_faults(
    node: exp.Update | exp.Delete, form: str, joined: str, better: str
) -> Iterator[str]:
    if node.args.get(joined):
        yield f"{form} joins in an order that the planner chooses: {better}"
    elif not _is_keyed(node):
        yield f"{form.split()[0]} reads its whole table: {better}"


def _join_faults(select: exp.Select, derived: set[str]) -> Iterator[str]:
    """Two sources that do not depend on each other may be joined row by row; FULL JOIN cannot."""
    source = select.args.get("from_")
    joins = select.args.get("joins") or []
    loose = [join.this for join in joins if join.side != "FULL"]
    free = [one for one in ([source.this] if source else []) + loose if _is_free(one)]
    if len(free) > 1:
        yield f"{_name(free[0])} and {_name(free[1])} are joined freely: {_LOOK_UP}"
    for join in joins:
        if join.side == "FULL" and isinstance(join.this, exp.Table):
            yield f"FULL JOIN reads all of {_name(join.this)}: {_LOOK_UP}"
    if any(_is_table(one, derived) for one in free) and not select.args.get("where"):
        yield f"{_name(free[0])} is read whole: name the account and the range of positions"


def _is_free(source: exp.Expression) -> bool:
    """Whether rows come of it without those of the sources before it."""
    if isinstance(source, exp.Table):
        return isinstance(source.this, exp.Identifier)  # else a function's result
    return isinstance(source, exp.Subquery)


def _is_table(source: exp.Expression, derived: set[str]) -> bool:
    return isinstance(source, exp.Table) and source.name not in derived


def _fence_faults(lateral: exp.Lateral) -> Iterator[str]:
    """Without a fence a look-up is merged into the join around it."""
    select = lateral.this.this if isinstance(lateral.this, exp.Subquery) else None
    if isinstance(select, exp.Select) and (source := select.args.get("from_")):
        fenced = select.args.get("offset") or select.args.get("limit")
        if isinstance(source.this, exp.Table) and _is_free(source.this) and not fenced:
            yield f"the look-up in {_name(source.this)} has no OFFSET 0 or LIMIT"


def _asks(node: exp.Expr) -> bool:
    """Whether it asks a SELECT, and no array."""
    if isinstance(node, exp.Any):
        return isinstance(node.this, exp.Subquery | exp.Select)
    return isinstance(node, exp.Exists) or bool(node.args.get("query"))


def _is_shown(node: exp.Expr) -> bool:
    """Whether it is a value among those selected, not a condition on rows."""
    above = node.find_ancestor(exp.Where, exp.Join, exp.Having, exp.Select)
    return isinstance(above, exp.Select)


def _is_keyed(node: exp.Update | exp.Delete) -> bool:
    """Whether its own condition compares a column with an array of what a SELECT gives."""
    where = node.args.get("where")
    return where is not None and any(
        isinstance(compared.this, exp.Column) and _is_selected_array(compared.expression)
        for compared in where.find_all(exp.EQ)
    )


def _is_selected_array(compared: exp.Expr) -> bool:
    array = compared.this.unnest() if isinstance(compared, exp.Any) else None
    return isinstance(array, exp.Array) and array.find(exp.Select) is not None


def _name(source: exp.Expression) -> str:
    return source.alias_or_name or "a subquery"
