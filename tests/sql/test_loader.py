"""All SQL texts are used, and all used SQL texts exist."""

import re
from pathlib import Path

import asyncpg
import pytest

from eventstore.connections import Connection
from sql.loader import migrations, projections, query

ROOT = Path(__file__).parents[2]
ROOMS = ("service", "projections", "eventstore", "sql")
QUERIES = sorted(path.stem for path in (ROOT / "sql" / "queries").glob("*/*.sql"))
USE = re.compile(r'query\(\s*"([^"]*)"')


def uses() -> set[str]:
    """The names that the code passes to the loader."""
    texts = (path.read_text("utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {name for text in texts for name in USE.findall(text)}


async def test_every_query_is_valid_in_the_migrated_schema(owner: Connection) -> None:
    errors = {}
    for name in QUERIES:
        try:
            await owner.prepare(query(name))
        except asyncpg.PostgresError as error:
            errors[name] = str(error)
    assert errors == {}


async def test_a_query_holds_one_statement(owner: Connection) -> None:
    """Prepared statements cannot be two; a final semicolon would begin a second one."""
    assert [name for name in QUERIES if query(name).rstrip().endswith(";")] == []


def test_no_two_queries_have_one_name_and_each_has_an_area() -> None:
    assert len(QUERIES) > 150
    assert len(set(QUERIES)) == len(QUERIES)
    assert list((ROOT / "sql" / "queries").glob("*.sql")) == []


def test_every_query_is_used() -> None:
    assert set(QUERIES) - uses() == set()


def test_every_used_query_exists() -> None:
    assert uses() - set(QUERIES) == set()


def test_queries_are_loaded_by_literal_names() -> None:
    indirect = re.compile(r"\bquery\((?!\s*\")(?!name: str)")
    texts = (path.read_text("utf-8") for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    assert not any(indirect.search(text) for text in texts)


def test_an_unknown_query_is_an_error() -> None:
    with pytest.raises(FileNotFoundError, match="no_such_query"):
        query("no_such_query")


def test_migrations_are_numbered_without_a_gap() -> None:
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert [m.name for m in found] == sorted(m.name for m in found)
    assert all(re.fullmatch(r"\d{4}_[a-z_]+", migration.name) for migration in found)


def test_the_statements_of_a_projection_come_in_the_order_of_their_numbers() -> None:
    for files in projections():
        folder = ROOT / "sql" / "projections" / files.name
        numbered = sorted(path for path in folder.glob("*.sql") if path.name[0].isdigit())
        assert list(files.statements) == [path.read_text("utf-8") for path in numbered]
        assert {path.name for path in folder.iterdir()} == {
            "projection.toml",
            "tables.sql",
            *(path.name for path in numbered),
        }
