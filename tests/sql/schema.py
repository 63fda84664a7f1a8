"""Regenerates `sql/schema`: ``python -m tests.sql.schema``, after a migration was added.

The objects of a migrated empty database, one a file, so that readers see the current schema and
reviews see what a migration changes. These files are never executed.
"""

import asyncio
import re
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from eventstore.connections import Connection, connect
from service.embedded_postgres import EmbeddedPostgres
from sql.migrator import migrate
from tests.running import ROOT

FOLDER = ROOT / "sql" / "schema"

_TABLES = """
SELECT c.oid, c.relname AS name, c.relkind::text AS kind, c.relrowsecurity AS secured,
       c.relforcerowsecurity AS forced, obj_description(c.oid) AS comment,
       pg_get_partkeydef(c.oid) AS partitions, c.reloptions AS options
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relname
"""
_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
       pg_get_expr(d.adbin, d.adrelid) AS expression, a.attidentity::text AS identity,
       a.attgenerated::text AS generated
  FROM pg_attribute a
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
_CONSTRAINTS = """
SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(oid)) AS line
  FROM pg_constraint
 WHERE conrelid = $1 AND contype <> 'n' AND conparentid = 0
 ORDER BY contype DESC, conname
"""
_STATEMENTS = """
SELECT pg_get_indexdef(i.indexrelid) AS line
  FROM pg_index i
 WHERE i.indrelid = $1 AND NOT EXISTS (
       SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
 UNION ALL
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal
 UNION ALL
SELECT format('CREATE POLICY %I ON %I AS %s FOR %s TO %s%s%s', policyname, tablename, permissive,
              cmd, array_to_string(roles, ', '), ' USING (' || qual || ')',
              ' WITH CHECK (' || with_check || ')')
  FROM pg_policies p
 WHERE p.schemaname = 'public' AND p.tablename = $2
 ORDER BY 1
"""
_FUNCTIONS = """
SELECT p.proname AS name, pg_get_functiondef(p.oid) AS definition
  FROM pg_proc p
 WHERE p.pronamespace = 'public'::regnamespace AND p.prokind IN ('f', 'p')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
 ORDER BY p.proname, pg_get_function_identity_arguments(p.oid)
"""
_VERSION = re.compile(r"(.+)_v([0-9]+)")


async def described(connection: Connection) -> dict[str, str]:
    """The text of each file of `sql/schema`, by its path below it."""
    files = {}
    for row in await connection.fetch(_TABLES):
        kind = {"v": "views", "S": "sequences"}.get(row["kind"], "tables")
        files[f"{kind}/{row['name']}.sql"] = await _relation(connection, row)
    functions = await connection.fetch(_FUNCTIONS)
    latest: dict[str, int] = defaultdict(int)
    for row in functions:
        base, version = _parted(row["name"])
        latest[base] = max(latest[base], version)
    texts: dict[str, str] = defaultdict(str)
    for row in functions:
        base, version = _parted(row["name"])
        folder = "functions" if version == latest[base] else "superseded"
        texts[f"{folder}/{row['name']}.sql"] += f"{row['definition'].rstrip()};\n"
    return files | texts


def _parted(name: str) -> tuple[str, int]:
    found = _VERSION.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, 0)


async def _relation(connection: Connection, row: asyncpg.Record) -> str:
    if row["kind"] == "S":
        return f"CREATE SEQUENCE {row['name']};\n"
    if row["kind"] == "v":
        text = await connection.fetchval("SELECT pg_get_viewdef($1::oid, true)", row["oid"])
        return f"CREATE VIEW {row['name']}{_options(row)} AS\n{text.rstrip()}\n"
    lines = [_column(column) for column in await connection.fetch(_COLUMNS, row["oid"])]
    lines += [one["line"] for one in await connection.fetch(_CONSTRAINTS, row["oid"])]
    head = f"-- {row['comment']}\n" if row["comment"] else ""
    end = f" PARTITION BY {row['partitions']}" if row["partitions"] else ""
    parts = [
        f"{head}CREATE TABLE {row['name']} (\n    "
        + ",\n    ".join(lines)
        + f"\n){_options(row)}{end}"
    ]
    parts += [f"ALTER TABLE {row['name']} ENABLE ROW LEVEL SECURITY"] if row["secured"] else []
    parts += [f"ALTER TABLE {row['name']} FORCE ROW LEVEL SECURITY"] if row["forced"] else []
    more = await connection.fetch(_STATEMENTS, row["oid"], row["name"])
    return "".join(f"{part};\n" for part in [*parts, *(one["line"] for one in more)])


def _options(row: asyncpg.Record) -> str:
    return f" WITH ({', '.join(row['options'])})" if row["options"] else ""


def _column(column: asyncpg.Record) -> str:
    words = [column["name"], column["type"]]
    if column["identity"]:
        kind = "ALWAYS" if column["identity"] == "a" else "BY DEFAULT"
        words.append(f"GENERATED {kind} AS IDENTITY")
    elif column["generated"]:
        words.append(f"GENERATED ALWAYS AS ({column['expression']}) STORED")
    elif column["expression"]:
        words.append(f"DEFAULT {column['expression']}")
    return " ".join([*words, *(["NOT NULL"] if column["required"] else [])])


async def write(url: str) -> None:
    """Writes what is in an empty database."""
    connection = await connect(url)
    try:
        await migrate(connection)
        files = await described(connection)
    finally:
        await connection.close()
    assert len(files) > 50, "an empty database is no schema"
    for old in FOLDER.rglob("*.sql"):
        old.unlink()
    for name, text in files.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    with TemporaryDirectory() as home, EmbeddedPostgres(Path(home)) as server:
        asyncio.run(write(server))
