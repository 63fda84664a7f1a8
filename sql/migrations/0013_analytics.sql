-- What analysts read: stable views in a schema of their own, how fresh they are, and which
-- accounts each of them may see. And projections that their users write themselves.
CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'What analysts read: facts and counts without personal text. <table>_v<n> keeps its columns for ever; <table> is the newest of them.';
GRANT USAGE ON SCHEMA analytics TO colloquy_service, colloquy_auditor, colloquy_analyst;

ALTER TABLE projections
    ADD COLUMN stable_schema text NOT NULL DEFAULT 'read',
    ADD COLUMN interface int NOT NULL DEFAULT 0,
    ADD COLUMN confined boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN projections.interface IS 'Version of the columns of its stable views; 0 where no view has it in its name.';
COMMENT ON COLUMN projections.confined IS 'Written by its users: its statements run as colloquy_projector.';

ALTER TABLE projection_checkpoints
    ADD COLUMN error_position bigint,
    ADD COLUMN error_at timestamptz;
COMMENT ON COLUMN projection_checkpoints.error_position IS 'The event that cannot be applied.';

CREATE TABLE projection_pauses (
    name      text PRIMARY KEY,
    paused_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE projection_pauses IS 'Followed projections that nobody advances until they are resumed.';

-- Its statements may read the log's facts, and write to nothing but its own tables.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'colloquy_projector') THEN
            CREATE ROLE colloquy_projector NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        SET LOCAL ROLE colloquy_projector;
        RESET ROLE;
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('GRANT colloquy_projector TO %I', current_user);
    END;
END
$$;

CREATE TABLE analyst_accounts (
    role_name  name NOT NULL,
    account_id bigint NOT NULL REFERENCES accounts,
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role_name, account_id)
);
COMMENT ON TABLE analyst_accounts IS 'The accounts that each analyst''s login may see.';

-- The accounts that who is logged in may see as an analyst; narrowed to the one that the session
-- has entered, if it has. Who can act as the owner may see all.
CREATE FUNCTION granted_accounts_v1() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(a.account_id), '{}')
      FROM accounts a
     WHERE (pg_has_role(session_user, current_user, 'MEMBER')
            OR EXISTS (SELECT FROM analyst_accounts g
                        WHERE g.role_name = session_user AND g.account_id = a.account_id))
       AND (current_account_v1() IS NULL OR a.account_id = current_account_v1())
$$;

-- The same for every role; the service sees the account that its session has entered.
CREATE FUNCTION visible_accounts_v1() RETURNS bigint[]
LANGUAGE sql STABLE AS $$
    SELECT CASE current_user WHEN 'colloquy_service' THEN ARRAY[public.current_account_v1()]
                             ELSE public.granted_accounts_v1() END
$$;

-- As before, but that an analyst sees the accounts granted to them.
CREATE OR REPLACE FUNCTION guard_table_v1(guarded regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format(
        'CREATE POLICY account_entered ON %s FOR SELECT TO colloquy_service '
        'USING (account_id = current_account_v1())', guarded);
    EXECUTE format(
        'CREATE POLICY account_granted ON %s FOR SELECT TO colloquy_analyst '
        'USING (account_id = ANY ((SELECT granted_accounts_v1())::bigint[]))', guarded);
    EXECUTE format(
        'CREATE POLICY every_account ON %s FOR SELECT TO colloquy_worker, colloquy_auditor '
        'USING (true)', guarded);
END
$$;
DO $$
DECLARE
    guarded regclass;
BEGIN
    FOR guarded IN SELECT polrelid FROM pg_policy WHERE polname = 'every_account' LOOP
        EXECUTE format('ALTER POLICY every_account ON %s TO colloquy_worker, colloquy_auditor',
                       guarded);
        EXECUTE format(
            'CREATE POLICY account_granted ON %s FOR SELECT TO colloquy_analyst '
            'USING (account_id = ANY ((SELECT granted_accounts_v1())::bigint[]))', guarded);
    END LOOP;
END
$$;
SELECT guard_table_v1('analyst_accounts');

-- As before, but that the tables which a projection keeps to itself are guarded, too.
CREATE OR REPLACE FUNCTION guard_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    guarded  projections%ROWTYPE;
    relation text;
    reader   text;
BEGIN
    SELECT * INTO STRICT guarded FROM projections p
     WHERE p.name = guard_generation_v1.name
       AND p.generation = guard_generation_v1.generation;
    PERFORM guard_table_v1(c.oid::regclass)
       FROM pg_class c
      WHERE c.relnamespace = to_regnamespace(quote_ident(guarded.schema_name))
        AND c.relkind IN ('r', 'p');
    FOREACH reader IN ARRAY guarded.readers LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', guarded.schema_name, reader);
        FOREACH relation IN ARRAY guarded.tables LOOP
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', guarded.schema_name, relation, reader);
        END LOOP;
    END LOOP;
END
$$;
CREATE POLICY account_applied ON events FOR SELECT TO colloquy_projector
    USING (account_id = (SELECT current_account_v1()));
GRANT SELECT ON events TO colloquy_projector;
GRANT USAGE ON SCHEMA public TO colloquy_projector;
GRANT EXECUTE ON FUNCTION current_account_v1 TO colloquy_projector;

-- Runs text with the rights of colloquy_projector: inside a function that has them, no statement
-- can take on other ones. Each text has a function of its own, since what runs with the rights of
-- a function's owner can change that function for whoever calls it next.
CREATE FUNCTION run_confined_v1(target_schema text, statements text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE FUNCTION %I.run_once(statements text) RETURNS void LANGUAGE plpgsql '
        'SECURITY DEFINER SET search_path = %I, public, pg_temp AS %L',
        target_schema, target_schema, 'BEGIN EXECUTE statements; END');
    EXECUTE format('ALTER FUNCTION %I.run_once(text) OWNER TO colloquy_projector', target_schema);
    EXECUTE format('SELECT %I.run_once($1)', target_schema) USING statements;
    EXECUTE format('DROP FUNCTION IF EXISTS %I.run_once(text)', target_schema);
END
$$;

-- The tables of a confined projection, and its apply(): SQL that was read when it was made, so
-- that it has no statement but those seen then, and can be looked through. Afterwards
-- colloquy_projector can name nothing in the schema any more, nor in that of any other projection.
CREATE FUNCTION define_confined_v1(target_schema text, definition text, statements text[])
RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO colloquy_projector', target_schema);
    PERFORM run_confined_v1(target_schema, definition);
    PERFORM run_confined_v1(target_schema, format(
        'CREATE FUNCTION %I.apply(account bigint, after_position bigint, upto_position bigint) '
        'RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = %I, public, pg_temp '
        'SET "TimeZone" = ''UTC'' ',
        target_schema, target_schema)
        || E'BEGIN ATOMIC\n' || array_to_string(statements, E'\n;\n') || E'\n;\nEND');
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %I.apply FROM PUBLIC', target_schema);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM colloquy_projector', target_schema);
END
$$;

-- While a generation is being built nothing analyzes its tables: in the middle of it, statistics
-- know nothing of the accounts to come, and take them for empty.
CREATE FUNCTION keep_statistics_v1(target_schema text, kept boolean) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    built regclass;
BEGIN
    FOR built IN SELECT c.oid FROM pg_class c
                  WHERE c.relnamespace = to_regnamespace(quote_ident(target_schema))
                    AND c.relkind = 'r' LOOP
        IF kept THEN
            EXECUTE format('ALTER TABLE %s RESET (autovacuum_enabled)', built);
        ELSE
            EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', built);
        END IF;
    END LOOP;
END
$$;

-- Before a generation goes live: all that is in it by then is known to the planner.
CREATE FUNCTION analyze_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    built regclass;
BEGIN
    FOR built IN SELECT c.oid FROM projections p
                   JOIN pg_class c ON c.relnamespace = to_regnamespace(quote_ident(p.schema_name))
                  WHERE p.name = analyze_generation_v1.name
                    AND p.generation = analyze_generation_v1.generation
                    AND c.relkind = 'r' LOOP
        EXECUTE format('ANALYZE %s', built);
    END LOOP;
END
$$;

-- As create_generation_v1, with where its stable views will be, and whether it is confined.
CREATE FUNCTION create_generation_v2(
    name text, version int, digest bytea, mode text, description text,
    tables text[], consumes text[], readers text[], definition text, statements text[],
    stable_schema text, interface int, confined boolean
) RETURNS int
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    next_generation int;
    new_schema      text;
BEGIN
    SELECT coalesce(max(p.generation), 0) + 1 INTO next_generation
      FROM projections p WHERE p.name = create_generation_v2.name;
    new_schema := format('%s_v%s_%s', name, version, next_generation);
    EXECUTE format('CREATE SCHEMA %I', new_schema);
    IF confined THEN
        PERFORM define_confined_v1(new_schema, definition, statements);
    ELSE
        PERFORM set_config('search_path', quote_ident(new_schema) || ', public', true);
        EXECUTE definition;
        EXECUTE format(
            'CREATE FUNCTION %I.apply(account bigint, after_position bigint, upto_position bigint) '
            'RETURNS void LANGUAGE plpgsql SET search_path = %I, public, pg_temp AS %L',
            new_schema, new_schema, E'BEGIN\n' || array_to_string(statements, E'\n') || E'\nEND');
    END IF;
    PERFORM keep_statistics_v1(new_schema, false);
    INSERT INTO projections (name, generation, version, digest, mode, description, tables,
                             consumes, readers, schema_name, state, stable_schema, interface,
                             confined)
    VALUES (create_generation_v2.name, next_generation, create_generation_v2.version,
            create_generation_v2.digest, create_generation_v2.mode,
            create_generation_v2.description, create_generation_v2.tables,
            create_generation_v2.consumes, create_generation_v2.readers, new_schema, 'building',
            create_generation_v2.stable_schema, create_generation_v2.interface,
            create_generation_v2.confined);
    RETURN next_generation;
END
$$;

-- The names of the stable views of a generation's tables.
CREATE FUNCTION stable_views_v1(name text, generation int)
RETURNS TABLE (stable_schema text, view_name text, relation text)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT p.stable_schema, t.relation || v.suffix, t.relation
      FROM projections p
     CROSS JOIN unnest(p.tables) AS t (relation)
     CROSS JOIN LATERAL (SELECT '' UNION ALL
                         SELECT '_v' || p.interface WHERE p.interface > 0) AS v (suffix)
     WHERE p.name = stable_views_v1.name AND p.generation = stable_views_v1.generation
$$;

-- Shows a table as a stable view, with its comments, to its readers. Without a comment of its own
-- the table has the projection's description.
CREATE FUNCTION show_table_v1(
    source regclass, stable_schema text, view_name text, description text, readers text[]
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    reader text;
    noted  record;
BEGIN
    EXECUTE format('CREATE VIEW %I.%I WITH (security_invoker = true) AS SELECT * FROM %s',
                   stable_schema, view_name, source);
    EXECUTE format('COMMENT ON VIEW %I.%I IS %L', stable_schema, view_name,
                   coalesce(obj_description(source, 'pg_class'), description));
    FOR noted IN SELECT a.attname, col_description(a.attrelid, a.attnum) AS note
                   FROM pg_attribute a
                  WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
                    AND col_description(a.attrelid, a.attnum) IS NOT NULL LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', stable_schema, view_name,
                       noted.attname, noted.note);
    END LOOP;
    FOREACH reader IN ARRAY readers LOOP
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', stable_schema, view_name, reader);
    END LOOP;
END
$$;

-- As before, but that the views stand in the projection's schema, under each of their names.
CREATE OR REPLACE FUNCTION drop_views_v1(name text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    shown record;
BEGIN
    FOR shown IN SELECT v.* FROM projections p
                  CROSS JOIN LATERAL stable_views_v1(p.name, p.generation) v
                  WHERE p.name = drop_views_v1.name AND p.state = 'live' LOOP
        EXECUTE format('DROP VIEW %I.%I', shown.stable_schema, shown.view_name);
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION publish_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    fresh projections%ROWTYPE;
BEGIN
    LOCK TABLE projections IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO STRICT fresh FROM projections p
     WHERE p.name = publish_generation_v1.name
       AND p.generation = publish_generation_v1.generation;
    PERFORM drop_views_v1(fresh.name);
    PERFORM guard_generation_v1(fresh.name, fresh.generation);
    PERFORM keep_statistics_v1(fresh.schema_name, true);
    PERFORM show_table_v1(format('%I.%I', fresh.schema_name, v.relation)::regclass,
                          v.stable_schema, v.view_name, fresh.description, fresh.readers)
       FROM stable_views_v1(fresh.name, fresh.generation) v;
    PERFORM drop_generation_v1(p.name, p.generation) FROM projections p
      WHERE p.name = fresh.name AND p.state = 'live';
    UPDATE projections p SET state = 'live', made_at = clock_timestamp()
     WHERE p.name = fresh.name AND p.generation = fresh.generation;
    PERFORM rewrite_inline_dispatch_v1();
END
$$;

-- As before; and a range without an event that the projection looks at is only passed over, and
-- a live projection that is paused stays where it is.
CREATE OR REPLACE FUNCTION advance_projection_v1(name text, generation int, account bigint, step bigint)
RETURNS TABLE (reached bigint, head bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    advanced projections%ROWTYPE;
    behind   bigint;
    log_head bigint;
    target   bigint;
BEGIN
    -- Rows and checkpoint are lost together or not at all, and can be made again.
    PERFORM set_config('synchronous_commit', 'off', true);
    -- The tables grow between two steps: no plan is right for long.
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
    SELECT * INTO advanced FROM projections p
     WHERE p.name = advance_projection_v1.name
       AND p.generation = advance_projection_v1.generation
       FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO projection_checkpoints AS c (name, generation, account_id)
    VALUES (advance_projection_v1.name, advance_projection_v1.generation,
            advance_projection_v1.account)
        ON CONFLICT DO NOTHING;
    SELECT c.position INTO behind FROM projection_checkpoints c
     WHERE c.name = advance_projection_v1.name
       AND c.generation = advance_projection_v1.generation
       AND c.account_id = advance_projection_v1.account
       FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF advanced.state = 'live' AND EXISTS (SELECT FROM projection_pauses z
                                            WHERE z.name = advance_projection_v1.name) THEN
        RETURN;
    END IF;
    SELECT h.position INTO log_head FROM log_heads h
     WHERE h.account_id = advance_projection_v1.account;
    target := least(log_head, behind + advance_projection_v1.step);
    IF target > behind THEN
        PERFORM apply_range_v1(advanced, advance_projection_v1.account, behind, target);
        UPDATE projection_checkpoints c
           SET position = target, moved_at = clock_timestamp(), error = NULL,
               error_position = NULL, error_at = NULL
         WHERE c.name = advance_projection_v1.name
           AND c.generation = advance_projection_v1.generation
           AND c.account_id = advance_projection_v1.account;
    END IF;
    RETURN QUERY SELECT target, log_head;
END
$$;

CREATE FUNCTION apply_range_v1(
    projection projections, account bigint, after_position bigint, upto_position bigint
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM events e
                WHERE e.account_id = apply_range_v1.account
                  AND e.position > apply_range_v1.after_position
                  AND e.position <= apply_range_v1.upto_position
                  AND e.type = ANY (apply_range_v1.projection.consumes)) THEN
        IF apply_range_v1.projection.confined THEN
            -- It sees the events of this account only.
            PERFORM set_config('colloquy.account', apply_range_v1.account::text, true);
        END IF;
        EXECUTE format('SELECT %I.apply($1, $2, $3)', apply_range_v1.projection.schema_name)
          USING apply_range_v1.account, apply_range_v1.after_position,
                apply_range_v1.upto_position;
    END IF;
END
$$;

-- One range of a generation that is being built and takes its ranges in any order: its checkpoint
-- moves when all of them are done (pass_ranges_v1).
CREATE FUNCTION build_range_v1(
    name text, generation int, account bigint, after_position bigint, upto_position bigint
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    built projections%ROWTYPE;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
    SELECT * INTO STRICT built FROM projections p
     WHERE p.name = build_range_v1.name AND p.generation = build_range_v1.generation
       AND p.state = 'building';
    PERFORM apply_range_v1(built, build_range_v1.account, build_range_v1.after_position,
                           build_range_v1.upto_position);
END
$$;

CREATE FUNCTION pass_ranges_v1(name text, generation int, account bigint, upto_position bigint)
RETURNS void
LANGUAGE sql SET search_path = public, pg_temp AS $$
    INSERT INTO projection_checkpoints (name, generation, account_id, position)
    VALUES (pass_ranges_v1.name, pass_ranges_v1.generation, pass_ranges_v1.account,
            pass_ranges_v1.upto_position)
$$;

-- The event after the checkpoint is the one that cannot be applied.
CREATE FUNCTION record_projection_error_v2(
    name text, generation int, account bigint, message text
) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO projection_checkpoints AS c (name, generation, account_id, error, error_position,
                                             error_at)
    SELECT p.name, p.generation, record_projection_error_v2.account,
           record_projection_error_v2.message, 1, clock_timestamp()
      FROM projections p
     WHERE p.name = record_projection_error_v2.name
       AND p.generation = record_projection_error_v2.generation
        ON CONFLICT (name, generation, account_id)
        DO UPDATE SET error = excluded.error, error_position = c.position + 1,
                      error_at = excluded.error_at
    RETURNING c.error_position
$$;
DROP FUNCTION record_projection_error_v1;

-- With the owner's rights, since nobody else may see the log; so it looks itself who asks.
CREATE VIEW analytics.freshness AS
SELECT h.account_id, p.name AS projection, p.version,
       coalesce(c.position, 0) AS position, h.position AS head,
       h.position - coalesce(c.position, 0) AS lag_events,
       CASE WHEN waiting.recorded_at IS NULL THEN 0
            ELSE greatest(0, extract(epoch FROM clock_timestamp() - waiting.recorded_at)::float8)
       END AS lag_seconds,
       c.error AS last_error, c.error_position, c.error_at, z.name IS NOT NULL AS paused
  FROM projections p
 CROSS JOIN log_heads h
  LEFT JOIN projection_checkpoints c
         ON c.name = p.name AND c.generation = p.generation AND c.account_id = h.account_id
  LEFT JOIN projection_pauses z ON z.name = p.name
  LEFT JOIN events waiting ON waiting.account_id = h.account_id
        AND waiting.position = coalesce(c.position, 0) + 1
 WHERE p.state = 'live' AND p.stable_schema = 'analytics'
   AND h.account_id = ANY ((SELECT visible_accounts_v1())::bigint[]);
COMMENT ON VIEW analytics.freshness IS 'One row a projection and account: how far it is behind the log.';
COMMENT ON COLUMN analytics.freshness.account_id IS 'The institution.';
COMMENT ON COLUMN analytics.freshness.projection IS 'The projection, whose views stand for the log up to position.';
COMMENT ON COLUMN analytics.freshness.version IS 'Version of its tables and statements.';
COMMENT ON COLUMN analytics.freshness.position IS 'Position of the last event that its rows stand for; 0 before the first.';
COMMENT ON COLUMN analytics.freshness.head IS 'Position of the log''s last event.';
COMMENT ON COLUMN analytics.freshness.lag_events IS 'Events that it has not seen.';
COMMENT ON COLUMN analytics.freshness.lag_seconds IS 'Seconds since the first of these was recorded; 0 where there is none.';
COMMENT ON COLUMN analytics.freshness.last_error IS 'Why it is stopped; null while it is not.';
COMMENT ON COLUMN analytics.freshness.error_position IS 'Position of the event that it cannot apply; null while it is not stopped.';
COMMENT ON COLUMN analytics.freshness.error_at IS 'When this was last tried; null while it is not stopped.';
COMMENT ON COLUMN analytics.freshness.paused IS 'Whether an operator has paused it.';

GRANT SELECT ON analytics.freshness TO colloquy_service, colloquy_auditor, colloquy_analyst;
GRANT EXECUTE ON FUNCTION visible_accounts_v1, granted_accounts_v1
    TO colloquy_service, colloquy_auditor, colloquy_analyst;
GRANT SELECT ON projection_pauses TO colloquy_worker, colloquy_auditor;
GRANT EXECUTE ON FUNCTION record_projection_error_v2 TO colloquy_worker;
