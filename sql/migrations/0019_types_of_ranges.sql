-- An apply() is told which event types its range has, and runs only those of its statements that
-- name one of them: an append of a message runs what messages concern, and no more.
ALTER TABLE projections ADD COLUMN typed boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN projections.typed IS 'Its apply() has a fourth argument: the event types in the range.';

-- A statement behind a condition on the types that it names; one that names none runs always.
CREATE FUNCTION guard_statement_v1(statement text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = public, pg_temp AS $$
    SELECT CASE WHEN count(*) = 0 THEN guard_statement_v1.statement
                ELSE format(E'IF types && %L::text[] THEN\n%s\nEND IF;',
                            array_agg(DISTINCT named.type[1]), guard_statement_v1.statement) END
      FROM regexp_matches(guard_statement_v1.statement, '''([a-z_]+\.v[0-9]+)''', 'g') named (type)
$$;

-- As create_generation_v2, but that what is not confined is typed.
CREATE FUNCTION create_generation_v3(
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
      FROM projections p WHERE p.name = create_generation_v3.name;
    new_schema := format('%s_v%s_%s', name, version, next_generation);
    EXECUTE format('CREATE SCHEMA %I', new_schema);
    IF confined THEN
        PERFORM define_confined_v1(new_schema, definition, statements);
    ELSE
        PERFORM set_config('search_path', quote_ident(new_schema) || ', public', true);
        EXECUTE definition;
        EXECUTE format(
            'CREATE FUNCTION %I.apply(account bigint, after_position bigint, '
            'upto_position bigint, types text[]) '
            'RETURNS void LANGUAGE plpgsql SET search_path = %I, public, pg_temp AS %L',
            new_schema, new_schema,
            E'BEGIN\n' || (SELECT string_agg(public.guard_statement_v1(s.text), E'\n' ORDER BY s.place)
                             FROM unnest(statements) WITH ORDINALITY AS s (text, place))
            || E'\nEND');
    END IF;
    PERFORM public.keep_statistics_v1(new_schema, false);
    INSERT INTO public.projections (name, generation, version, digest, mode, description, tables,
                                    consumes, readers, schema_name, state, stable_schema,
                                    interface, confined, typed)
    VALUES (create_generation_v3.name, next_generation, create_generation_v3.version,
            create_generation_v3.digest, create_generation_v3.mode,
            create_generation_v3.description, create_generation_v3.tables,
            create_generation_v3.consumes, create_generation_v3.readers, new_schema, 'building',
            create_generation_v3.stable_schema, create_generation_v3.interface,
            create_generation_v3.confined, NOT create_generation_v3.confined);
    RETURN next_generation;
END
$$;
DROP FUNCTION create_generation_v2;

-- As before, with the types of the range where the projection's apply() takes them.
CREATE OR REPLACE FUNCTION apply_range_v1(
    projection projections, account bigint, after_position bigint, upto_position bigint
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    types text[];
BEGIN
    types := ARRAY(SELECT DISTINCT e.type FROM events e
                    WHERE e.account_id = apply_range_v1.account
                      AND e.position > apply_range_v1.after_position
                      AND e.position <= apply_range_v1.upto_position
                      AND e.type = ANY (apply_range_v1.projection.consumes));
    IF types = '{}' THEN
        RETURN;
    END IF;
    IF apply_range_v1.projection.confined THEN
        -- It sees the events of this account only.
        PERFORM set_config('colloquy.account', apply_range_v1.account::text, true);
    END IF;
    IF apply_range_v1.projection.typed THEN
        EXECUTE format('SELECT %I.apply($1, $2, $3, $4)', apply_range_v1.projection.schema_name)
          USING apply_range_v1.account, apply_range_v1.after_position,
                apply_range_v1.upto_position, types;
    ELSE
        EXECUTE format('SELECT %I.apply($1, $2, $3)', apply_range_v1.projection.schema_name)
          USING apply_range_v1.account, apply_range_v1.after_position,
                apply_range_v1.upto_position;
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION rewrite_inline_dispatch_v1() RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    calls text;
BEGIN
    SELECT string_agg(format(
               'IF types && %L::text[] THEN '
               'PERFORM %I.apply(account, after_position, upto_position%s); END IF;',
               p.consumes, p.schema_name, CASE WHEN p.typed THEN ', types' ELSE '' END),
               E'\n' ORDER BY p.name)
      INTO calls
      FROM projections p
     WHERE p.state = 'live' AND p.mode = 'inline';
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION apply_inline_projections('
        'account bigint, after_position bigint, upto_position bigint, types text[]'
        ') RETURNS void LANGUAGE plpgsql AS %L',
        E'BEGIN\n' || coalesce(calls, '') || E'\nEND');
END
$$;

-- As before, but that a table without a row is left as it is: statistics would say for good that it
-- is empty, while nothing else than its size tells the planner so now.
CREATE OR REPLACE FUNCTION analyze_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    built regclass;
BEGIN
    FOR built IN SELECT c.oid FROM projections p
                   JOIN pg_class c ON c.relnamespace = to_regnamespace(quote_ident(p.schema_name))
                  WHERE p.name = analyze_generation_v1.name
                    AND p.generation = analyze_generation_v1.generation
                    AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0 LOOP
        EXECUTE format('ANALYZE %s', built);
    END LOOP;
END
$$;

-- Planning the statements of a short range takes as long as running them, so their plans are kept
-- while a live projection follows. The form of a statement leaves the planner one choice, whether
-- to read a table whole: it does where the table was empty when the plan was made. Long ranges, and
-- statements that are not Colloquy's, are planned anew each time.
CREATE OR REPLACE FUNCTION plan_range_v1(projection projections, positions bigint) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    kept boolean := projection.state = 'live' AND NOT projection.confined AND positions <= 1000;
BEGIN
    PERFORM set_config('plan_cache_mode',
                       CASE WHEN kept THEN 'force_generic_plan' ELSE 'force_custom_plan' END, true);
    PERFORM set_config(setting, CASE WHEN kept THEN 'off' ELSE 'on' END, true)
       FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan']) AS setting;
END
$$;

-- As before, with the types that apply() may want, and an index by which a text is looked up.
CREATE OR REPLACE FUNCTION replay_conversation_v1(account bigint, conversation bigint, upto bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_temp, public AS $$
DECLARE
    wanted   CONSTANT text[] := ARRAY['active_conversations', 'conversations',
                                      'conversation_messages', 'message_feedback'];
    live     public.projections%ROWTYPE;
    relation text;
    played   int := 0;
BEGIN
    IF replay_conversation_v1.account IS DISTINCT FROM public.current_account_v1() THEN
        RAISE EXCEPTION 'the session has not entered account %', replay_conversation_v1.account
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    CREATE TEMPORARY TABLE events (LIKE public.events) ON COMMIT DROP;
    CREATE TEMPORARY TABLE event_content (LIKE public.event_content INCLUDING INDEXES)
        ON COMMIT DROP;
    INSERT INTO pg_temp.events
    SELECT e.* FROM public.events e
     WHERE e.account_id = replay_conversation_v1.account
       AND e.conversation_id = replay_conversation_v1.conversation
       AND e.position <= replay_conversation_v1.upto;
    INSERT INTO pg_temp.event_content
    SELECT c.* FROM pg_temp.events e
      JOIN public.event_content c ON c.account_id = e.account_id AND c.position = e.position;

    -- Locked, since a rebuild that goes live drops the tables of the one before.
    FOR live IN SELECT p.* FROM public.projections p
                 WHERE p.name = ANY (wanted) AND p.state = 'live'
                 ORDER BY p.name FOR KEY SHARE LOOP
        FOREACH relation IN ARRAY live.tables LOOP
            EXECUTE format('CREATE TEMPORARY TABLE %I (LIKE %I.%I INCLUDING ALL) ON COMMIT DROP',
                           relation, live.schema_name, relation);
            EXECUTE format('GRANT SELECT ON pg_temp.%I TO colloquy_service', relation);
        END LOOP;
        -- The label stands for the function's name, by which its statements call its arguments.
        EXECUTE (
            SELECT format('DO %L', format(
                       '<<apply>> DECLARE account bigint := %s; after_position bigint := 0; '
                       'upto_position bigint := %s; types text[] := %L; %s',
                       replay_conversation_v1.account, replay_conversation_v1.upto,
                       live.consumes, f.prosrc))
              FROM pg_proc f
             WHERE f.pronamespace = live.schema_name::regnamespace AND f.proname = 'apply');
        played := played + 1;
    END LOOP;
    IF played < cardinality(wanted) THEN
        RAISE EXCEPTION 'a view is being exchanged' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;
