"""Checks that a statement over a range has a form whose cost the planner cannot change.

Statistics may be of an empty table, and a plan made from them may be kept while the table grows.
In these forms, only the index of a look-up can be chosen:

- INSERT … SELECT from the range;
- the same with ON CONFLICT DO UPDATE by the full key, which is looked up without a plan;
- UPDATE and DELETE of one table with ``key = ANY (ARRAY(SELECT … FROM the range))``, by ``ctid``
  for a key of several columns, since PostgreSQL 15 and 16 may use only the first of them;
- the range CROSS JOIN LATERAL a look-up by the full key, fenced by OFFSET 0 or LIMIT.
"""

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

# The parser attributes the ON of ON CONFLICT to a CROSS JOIN before it.
_JOINED_UPSERT = re.compile(r"(\)\s+(?:AS\s+)?\w+)(\s+ON\s+CONFLICT)", re.IGNORECASE)

_LOOK_UP = "look each row up by its key instead, CROSS JOIN LATERAL (SELECT … OFFSET 0)"
_UPSERT = "give it the values by INSERT … ON CONFLICT DO UPDATE"
_ARRAY = "compare its key = ANY (ARRAY(SELECT … FROM the range)) instead"


def form_faults(statement: str) -> list[str]:
    """The parts of a statement whose cost depends on the planner, each once.

    Args:
        statement: SQL of PostgreSQL, one statement or several.
    """
    parsable = _JOINED_UPSERT.sub(r"\1 WHERE true\2", statement)
    try:
        parsed = [part for part in sqlglot.parse(parsable, dialect="postgres") if part]
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
            case exp.Exists() | exp.In() | exp.Any() if _has_select(node) and not _is_output(node):
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
    """Refuses independent sources, which may be joined row by row, and FULL JOIN of a table."""
    source = select.args.get("from_")
    joins = select.args.get("joins") or []
    joined = [join.this for join in joins if join.side != "FULL"]
    free = [one for one in ([source.this] if source else []) + joined if _is_independent(one)]
    if len(free) > 1:
        yield f"{_name(free[0])} and {_name(free[1])} are joined freely: {_LOOK_UP}"
    for join in joins:
        if join.side == "FULL" and isinstance(join.this, exp.Table):
            yield f"FULL JOIN reads all of {_name(join.this)}: {_LOOK_UP}"
    if any(_is_table(one, derived) for one in free) and not select.args.get("where"):
        yield f"{_name(free[0])} is read whole: name the account and the range of positions"


def _is_independent(source: exp.Expression) -> bool:
    """Whether the source's rows do not depend on the sources before it."""
    if isinstance(source, exp.Table):
        return isinstance(source.this, exp.Identifier)  # else a function's result
    return isinstance(source, exp.Subquery)


def _is_table(source: exp.Expression, derived: set[str]) -> bool:
    return isinstance(source, exp.Table) and source.name not in derived


def _fence_faults(lateral: exp.Lateral) -> Iterator[str]:
    """Refuses a look-up without a fence, which the planner merges into the outer join."""
    select = lateral.this.this if isinstance(lateral.this, exp.Subquery) else None
    if isinstance(select, exp.Select) and (source := select.args.get("from_")):
        fenced = select.args.get("offset") or select.args.get("limit")
        if isinstance(source.this, exp.Table) and _is_independent(source.this) and not fenced:
            yield f"the look-up in {_name(source.this)} has no OFFSET 0 or LIMIT"


def _has_select(node: exp.Expr) -> bool:
    """Whether the operand is a SELECT and not an array."""
    if isinstance(node, exp.Any):
        return isinstance(node.this, exp.Subquery | exp.Select)
    return isinstance(node, exp.Exists) or bool(node.args.get("query"))


def _is_output(node: exp.Expr) -> bool:
    """Whether the node is an output column and not a condition."""
    above = node.find_ancestor(exp.Where, exp.Join, exp.Having, exp.Select)
    return isinstance(above, exp.Select)


def _is_keyed(node: exp.Update | exp.Delete) -> bool:
    """Whether the node's own condition compares a column with an array of a SELECT."""
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
