"""A user-defined projection that does anything forbidden is refused."""

from pathlib import Path

import pytest

from eventstore.connections import Connection
from projections import trial_run as trying
from projections.errors import ProjectionRefused
from projections.rebuild import rebuild
from projections.trial_run import run_trial
from sql.loader import template
from tests.eventstore.building import Learner, append_steps, dialogue
from tests.projections.user_projection_folder import NAME, changed, definition_in, read, started
from tests.projections.viewing import Parts, generations, rows_of, schemas

NEIGHBOUR = "neighbour"
TAKES_OVER = """
CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS $x$
BEGIN UPDATE tokens SET admin = true; RETURN NULL; END $x$;
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON hourly DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION taken();
INSERT INTO hourly VALUES (1, 1, '2026-01-01', 1, 1);
"""

ONLY = "statements may be INSERT, UPDATE, DELETE, MERGE and SELECT, not {}"

TABLES = {
    "take back the owner's role": ("RESET ROLE", "cannot set parameter"),
    "take on the owner's role": ("SET ROLE postgres", "cannot set parameter"),
    "take on the service's role": ("SET ROLE colloquy_service", "cannot set parameter"),
    "be somebody else": ("SET SESSION AUTHORIZATION DEFAULT", "cannot set parameter"),
    "take a role by function": (
        "DO $$ BEGIN PERFORM set_config('role', session_user, false); END $$",
        "cannot set parameter",
    ),
    "write to the log": ("DELETE FROM events", "permission denied for table events"),
    "write to the log by a trigger": (
        "CREATE TRIGGER t AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION lo_unlink()",
        "",
    ),
    "read texts": ("CREATE TABLE x AS SELECT * FROM event_content", "event_content"),
    "read tokens": ("CREATE TABLE x AS SELECT * FROM tokens", "tokens"),
    "read names": ("DO $$ BEGIN PERFORM name FROM users; END $$", "users"),
    "read the views of handlers": (
        "CREATE TABLE x AS SELECT * FROM read.conversation_messages",
        "permission denied for schema read",
    ),
    "make itself stronger": (
        "ALTER ROLE colloquy_projector SUPERUSER",
        "permission denied | must be superuser",
    ),
    "grant itself the owner": (
        "GRANT colloquy_service TO colloquy_projector",
        "permission denied | must have admin",
    ),
    "drop a schema of ours": ("DROP SCHEMA read CASCADE", "must be owner of schema read"),
    "drop its own schema": (f"DROP SCHEMA {NAME}_v1_1 CASCADE", "must be owner of schema"),
    "write to a neighbour": (
        f"DELETE FROM {NEIGHBOUR}_v1_1.{NEIGHBOUR}",
        f"permission denied for schema {NEIGHBOUR}_v1_1",
    ),
    "change how a neighbour runs": (
        f"ALTER FUNCTION {NEIGHBOUR}_v1_1.apply SECURITY INVOKER",
        f"permission denied for schema {NEIGHBOUR}_v1_1",
    ),
    "drop all that its role owns": ("DROP OWNED BY CURRENT_USER", "other objects depend"),
    "drop it with what depends on it": (
        "DROP OWNED BY CURRENT_USER CASCADE; CREATE TABLE hourly (account_id bigint NOT NULL)",
        "",
    ),
    "run a program": (
        "COPY events TO PROGRAM 'id'",
        "permission denied to COPY | must be superuser or have privileges of",
    ),
    "write a file": (
        "COPY events TO '/tmp/colloquy-out'",
        "permission denied to COPY | must be superuser or have privileges of",
    ),
    "read a file": (
        "CREATE TABLE x AS SELECT pg_read_file('/etc/passwd') AS t",
        "permission denied for function pg_read_file",
    ),
    "load a library": ("LOAD 'dblink'", ""),
    "have an extension": ("CREATE EXTENSION dblink", "permission denied"),
    "have a wrapper for other servers": ("CREATE EXTENSION postgres_fdw", ""),
    "make a function in public": (
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
        "permission denied for schema public",
    ),
    "make a function of its own": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "tables.sql makes function",
    ),
    "make a function for the session": (
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "tables.sql makes function",
    ),
    "make a function that is called instead of it": (
        "CREATE FUNCTION apply(a bigint, b bigint, c bigint) RETURNS void LANGUAGE sql AS ''",
        "already exists",
    ),
    "act when the owner commits": (TAKES_OVER, "it has pending trigger events"),
    "act when somebody reads, by a view": (
        "CREATE VIEW v AS SELECT count(*) FROM events",
        "tables.sql makes view",
    ),
    "act when somebody reads, by a policy": (
        "CREATE POLICY p ON hourly USING (pg_sleep(1) IS NULL)",
        "row-level security or rights",
    ),
    "act by a rule": (
        "CREATE RULE r AS ON DELETE TO hourly DO ALSO NOTIFY colloquy_letters",
        "hourly has a rule",
    ),
    "give its table away": ("GRANT ALL ON hourly TO PUBLIC", "rights of its own"),
    "make a table for the session": ("CREATE TEMP TABLE x (a int)", "tables.sql makes table"),
    "make a table that a crash empties": (
        "CREATE UNLOGGED TABLE x (account_id bigint NOT NULL)",
        "tables.sql makes table",
    ),
    "make a type": ("CREATE TYPE mood AS ENUM ('fine')", "tables.sql makes type"),
    "make a large object": ("DO $$ BEGIN PERFORM lo_create(0); END $$", "large object"),
    "make a sequence": ("CREATE SEQUENCE s", "tables.sql makes sequence"),
    "count with a sequence": (
        "ALTER TABLE hourly ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY",
        "tables.sql makes sequence",
    ),
    "refer to a table of ours": (
        "CREATE TABLE x (account_id bigint NOT NULL REFERENCES accounts)",
        "permission denied for table accounts",
    ),
    "refer to its own table": (
        "ALTER TABLE hourly ADD UNIQUE (position); CREATE TABLE x "
        "(account_id bigint NOT NULL, p bigint REFERENCES hourly (position))",
        "a trigger, or a foreign key",
    ),
    "stand for a table of ours": (
        "CREATE TABLE projections (account_id bigint NOT NULL)",
        "projections has the name of a table of Colloquy",
    ),
    "act in a default": (
        "ALTER TABLE hourly ADD COLUMN o oid DEFAULT lo_create(0)",
        "",
    ),
    "act in a constraint": (
        "ALTER TABLE hourly ADD CHECK (set_config('work_mem', '1GB', false) = '')",
        "a constraint of hourly calls set_config()",
    ),
    "have the time as a default": (
        "ALTER TABLE hourly ADD COLUMN t timestamptz DEFAULT now(); "
        "COMMENT ON COLUMN hourly.t IS 'When.'",
        "a default of hourly calls now()",
    ),
    "end the transaction": ("COMMIT", "transaction commands"),
    "end the transaction in a block": (
        "DO $$ BEGIN COMMIT; END $$",
        "invalid transaction termination",
    ),
    "be no SQL": ("CREATE TABEL x ()", "tables.sql, line 18: syntax error"),
}

ENDLESS_TABLES = {"loop": ("DO $$ BEGIN LOOP END LOOP; END $$", "took too long")}
ENDLESS_STATEMENTS = {
    "never end": (
        "DELETE FROM hourly WHERE messages IN (WITH RECURSIVE r (n) AS (SELECT 1::bigint UNION ALL "
        "SELECT n FROM r) SELECT count(*) FROM r)",
        "took too long",
    ),
}
TABLES_OF_A_START = template(NAME)["tables.sql"]
ALL_ELSE = """
SELECT c.oid::regclass::text AS name, c.relacl::text, c.relrowsecurity FROM pg_class c
 WHERE c.relnamespace::regnamespace::text !~ '^pg_'
UNION ALL
SELECT f.oid::regprocedure::text, f.proacl::text, f.prosecdef FROM pg_proc f
 WHERE f.pronamespace::regnamespace::text !~ '^pg_'
UNION ALL
SELECT nspname, nspacl::text, true FROM pg_namespace WHERE nspname !~ '^pg_'
UNION ALL
SELECT oid::text, lomacl::text, true FROM pg_largeobject_metadata
UNION ALL
SELECT rolname, rolconfig::text, rolsuper FROM pg_roles WHERE rolname ~ '^colloquy'
 ORDER BY 1, 2
"""

STATEMENTS = {
    "write to the log": ("DELETE FROM events", "permission denied for table events"),
    "read texts": ("INSERT INTO hourly SELECT 1, 1, now(), 1, e.position FROM event_content e", ""),
    "write to a neighbour": (f"DELETE FROM {NEIGHBOUR}_v1_1.{NEIGHBOUR}", "permission denied"),
    "read the catalogue": (
        "INSERT INTO hourly SELECT 1, 1, '2026-01-01', count(*), 1 FROM pg_roles",
        "a statement uses pg_roles",
    ),
    "read what others run": (
        "INSERT INTO hourly SELECT 1, 1, '2026-01-01', count(*), 1 FROM pg_stat_activity",
        "a statement uses pg_stat_activity",
    ),
    "run other statements": (
        "DELETE FROM hourly WHERE query_to_xml('SELECT 1', true, true, '') IS NULL",
        "a statement calls query_to_xml()",
    ),
    "tell other processes": (
        "SELECT pg_notify('colloquy_letters', 'stop')",
        "a statement calls pg_notify()",
    ),
    "hold a lock": ("SELECT pg_advisory_lock(1)", "a statement calls pg_advisory_lock()"),
    "make a large object": ("SELECT lo_create(0)", "a statement calls lo_create()"),
    "change a setting": (
        "SELECT set_config('colloquy.account', '2', false)",
        "a statement calls set_config()",
    ),
    "throw dice": (
        "UPDATE hourly SET messages = (random() * 100)::bigint",
        "a statement calls random()",
    ),
    "look at the clock": (
        "UPDATE hourly SET hour = now()",
        "a statement calls now()",
    ),
    "look at the calendar": ("UPDATE hourly SET hour = CURRENT_DATE", "CURRENT_DATE"),
    "make identifiers": (
        "DELETE FROM hourly WHERE gen_random_uuid() IS NULL",
        "a statement calls gen_random_uuid()",
    ),
    "define things": ("CREATE TABLE x (a int)", ONLY.format("CREATE TABLE")),
    "change itself": (
        f"ALTER FUNCTION {NAME}_v1_1.apply SECURITY INVOKER",
        ONLY.format("ALTER FUNCTION"),
    ),
    "be something else": (
        "END; DROP FUNCTION apply; CREATE FUNCTION apply(bigint, bigint, bigint) RETURNS void "
        "LANGUAGE plpgsql SECURITY DEFINER "
        "AS 'BEGIN RESET ROLE; END'; DO $$ BEGIN PERFORM 1; END $$",
        "",
    ),
    "take on a role": ("RESET ROLE", ONLY.format("RESET")),
    "end the transaction": ("COMMIT", ONLY.format("COMMIT")),
    "copy to a program": ("COPY hourly TO PROGRAM 'id'", ONLY.format("COPY")),
    "block": ("DO $$ BEGIN LOOP END LOOP; END $$", ONLY.format("DO")),
    "be no SQL": ("SELEKT 1", "1_count.sql, line 13: syntax error"),
    "name what is not there": ("DELETE FROM nowhere", 'relation "nowhere" does not exist'),
    "write for another account": (
        "UPDATE hourly SET account_id = 2",
        "with the account_id of another account",
    ),
    "make up positions": ("UPDATE hourly SET position = 0", "position that is not of an event"),
    "forget with each range": (
        "DELETE FROM hourly WHERE position <= apply.after_position",
        "other rows when the log is cut into single events",
    ),
    "divide by nothing": ("UPDATE hourly SET messages = messages / 0", "division by zero"),
}


@pytest.fixture
async def folder(tmp_path: Path, log_parts: Parts, database_url: str) -> Path:
    """A working projection, beside an installed one, on a log with events."""
    await append_steps(log_parts[0], dialogue(Learner(), 3))
    await rebuild(database_url, definition_in(started(tmp_path, NEIGHBOUR)))
    return started(tmp_path)


async def refused(folder: Path, owner: Connection) -> str:
    """A check's refusal; asserts that the database is unchanged."""
    own = read(folder)
    neighbour = definition_in(folder.parent / NEIGHBOUR)
    before = await owner.fetch(ALL_ELSE), await rows_of(owner, neighbour)
    try:
        await run_trial(owner, own.readable(), own.files)
    except ProjectionRefused as error:
        message = str(error)
    else:
        return "nothing"
    assert (await owner.fetch(ALL_ELSE), await rows_of(owner, neighbour)) == before
    assert await owner.fetchval("SELECT current_user = session_user")
    assert message.startswith("hourly: ")
    assert "\n" not in message
    return message


async def wrong_refusals(
    folder: Path, file: str, attempts: dict[str, tuple[str, str]], owner: Connection
) -> dict[str, str]:
    """The messages of those attempts that were not refused for the right reason.

    A bar separates the reason as newer versions of PostgreSQL say it from that of version 15.
    """
    path = folder / file
    text = path.read_text()
    wrong = {}
    for attempt, (statement, reason) in attempts.items():
        path.write_text(f"{text}\n{statement};\n")
        message = await refused(folder, owner)
        if not any(part in message for part in reason.split(" | ")) or message == "nothing":
            wrong[attempt] = message
    return wrong


async def test_tables_that_reach_further_are_refused(folder: Path, owner: Connection) -> None:
    assert await wrong_refusals(folder, "tables.sql", TABLES, owner) == {}


async def test_statements_that_reach_further_are_refused(folder: Path, owner: Connection) -> None:
    assert await wrong_refusals(folder, "1_count.sql", STATEMENTS, owner) == {}


async def test_endless_definitions_are_stopped(
    folder: Path, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "LONGEST", "1s")
    assert await wrong_refusals(folder, "tables.sql", ENDLESS_TABLES, owner) == {}
    (folder / "tables.sql").write_text(TABLES_OF_A_START)
    assert await wrong_refusals(folder, "1_count.sql", ENDLESS_STATEMENTS, owner) == {}


async def test_a_rebuild_refuses_what_a_check_refuses(
    folder: Path, owner: Connection, database_url: str
) -> None:
    """A rebuild checks again."""
    changed(
        folder,
        "tables.sql",
        "CREATE TABLE hourly",
        "CREATE VIEW v AS SELECT 1 AS one;\nCREATE TABLE hourly",
    )
    with pytest.raises(ProjectionRefused, match="makes view"):
        await rebuild(database_url, definition_in(folder))
    assert await generations(owner, NAME) == []
    assert await schemas(owner, NAME) == []
