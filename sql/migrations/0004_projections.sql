CREATE TABLE projections (
    name        text NOT NULL,
    generation  int NOT NULL,
    version     int NOT NULL,
    digest      bytea NOT NULL,
    mode        text NOT NULL CHECK (mode IN ('inline', 'followed')),
    description text NOT NULL,
    tables      text[] NOT NULL,
    consumes    text[] NOT NULL,
    readers     text[] NOT NULL,
    schema_name text NOT NULL UNIQUE,
    state       text NOT NULL CHECK (state IN ('building', 'live')),
    made_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, generation)
);
CREATE UNIQUE INDEX projections_live ON projections (name) WHERE state = 'live';
COMMENT ON TABLE projections IS
    'Every projection that is installed. A rebuild fills a new generation and then makes it live.';

CREATE TABLE projection_checkpoints (
    name       text NOT NULL,
    generation int NOT NULL,
    account_id bigint NOT NULL REFERENCES accounts,
    position   bigint NOT NULL DEFAULT 0,
    moved_at   timestamptz NOT NULL DEFAULT now(),
    error      text,
    PRIMARY KEY (name, generation, account_id),
    FOREIGN KEY (name, generation) REFERENCES projections ON DELETE CASCADE
);
COMMENT ON TABLE projection_checkpoints IS
    'How far a followed projection, or a rebuild, has come; moved in the transaction that writes its rows.';

-- Rewritten by rewrite_inline_dispatch_v1 whenever an inline projection goes live.
CREATE FUNCTION apply_inline_projections(
    account bigint, after_position bigint, upto_position bigint, types text[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
END
$$;

CREATE FUNCTION rewrite_inline_dispatch_v1() RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    calls text;
BEGIN
    SELECT string_agg(format(
               'IF types && %L::text[] THEN PERFORM %I.apply(account, after_position, upto_position); END IF;',
               p.consumes, p.schema_name), E'\n' ORDER BY p.name)
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

-- A new generation of a projection: its own schema with its tables, and an
-- apply(account, after_position, upto_position) made of its statements.
CREATE FUNCTION create_generation_v1(
    name text, version int, digest bytea, mode text, description text,
    tables text[], consumes text[], readers text[], definition text, statements text[]
) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
    next_generation int;
    new_schema      text;
BEGIN
    SELECT coalesce(max(p.generation), 0) + 1 INTO next_generation
      FROM projections p WHERE p.name = create_generation_v1.name;
    new_schema := format('%s_v%s_%s', name, version, next_generation);
    EXECUTE format('CREATE SCHEMA %I', new_schema);
    PERFORM set_config('search_path', quote_ident(new_schema) || ', public', true);
    EXECUTE definition;
    EXECUTE format(
        'CREATE FUNCTION %I.apply(account bigint, after_position bigint, upto_position bigint) '
        'RETURNS void LANGUAGE plpgsql SET search_path = %I, public, pg_temp AS %L',
        new_schema, new_schema, E'BEGIN\n' || array_to_string(statements, E'\n') || E'\nEND');
    INSERT INTO projections (name, generation, version, digest, mode, description, tables,
                             consumes, readers, schema_name, state)
    VALUES (create_generation_v1.name, next_generation, create_generation_v1.version,
            create_generation_v1.digest, create_generation_v1.mode,
            create_generation_v1.description, create_generation_v1.tables,
            create_generation_v1.consumes, create_generation_v1.readers, new_schema, 'building');
    RETURN next_generation;
END
$$;

-- Makes a generation the live one: the stable views in "read" show its tables from
-- this transaction's commit on, and the generation that they showed is dropped.
-- The lock lets one projection at a time go live: the dispatch names the live
-- generations of all, so of two that wrote it at once the later would name a dropped one.
CREATE FUNCTION publish_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    fresh     projections%ROWTYPE;
    relation  text;
    reader    text;
BEGIN
    LOCK TABLE projections IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO STRICT fresh FROM projections p
     WHERE p.name = publish_generation_v1.name
       AND p.generation = publish_generation_v1.generation;
    PERFORM drop_views_v1(publish_generation_v1.name);
    FOREACH relation IN ARRAY fresh.tables LOOP
        EXECUTE format('CREATE VIEW read.%I AS SELECT * FROM %I.%I',
                       relation, fresh.schema_name, relation);
        EXECUTE format('COMMENT ON VIEW read.%I IS %L', relation, fresh.description);
        FOREACH reader IN ARRAY fresh.readers LOOP
            EXECUTE format('GRANT SELECT ON read.%I TO %I', relation, reader);
        END LOOP;
    END LOOP;
    PERFORM drop_generation_v1(p.name, p.generation) FROM projections p
      WHERE p.name = publish_generation_v1.name AND p.state = 'live';
    UPDATE projections p SET state = 'live', made_at = clock_timestamp()
     WHERE p.name = publish_generation_v1.name
       AND p.generation = publish_generation_v1.generation;
    PERFORM rewrite_inline_dispatch_v1();
END
$$;

CREATE FUNCTION drop_views_v1(name text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    relation text;
BEGIN
    FOR relation IN SELECT unnest(p.tables) FROM projections p
                     WHERE p.name = drop_views_v1.name AND p.state = 'live' LOOP
        EXECUTE format('DROP VIEW read.%I', relation);
    END LOOP;
END
$$;

CREATE FUNCTION drop_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    doomed text;
BEGIN
    DELETE FROM projections p
     WHERE p.name = drop_generation_v1.name AND p.generation = drop_generation_v1.generation
    RETURNING p.schema_name INTO doomed;
    EXECUTE format('DROP SCHEMA %I CASCADE', doomed);
END
$$;

-- One step of a followed projection or of a rebuild. The checkpoint's row lock makes
-- this step's caller the only runner over all processes; one that dies frees it at once.
-- No row comes back where another runner has the lock or the generation is gone.
CREATE FUNCTION advance_projection_v1(name text, generation int, account bigint, step bigint)
RETURNS TABLE (reached bigint, head bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target_schema text;
    behind        bigint;
    log_head      bigint;
    target        bigint;
BEGIN
    SELECT p.schema_name INTO target_schema FROM projections p
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
    SELECT h.position INTO log_head FROM log_heads h
     WHERE h.account_id = advance_projection_v1.account;
    target := least(log_head, behind + advance_projection_v1.step);
    IF target > behind THEN
        EXECUTE format('SELECT %I.apply($1, $2, $3)', target_schema)
          USING advance_projection_v1.account, behind, target;
        UPDATE projection_checkpoints c
           SET position = target, moved_at = clock_timestamp(), error = NULL
         WHERE c.name = advance_projection_v1.name
           AND c.generation = advance_projection_v1.generation
           AND c.account_id = advance_projection_v1.account;
    END IF;
    RETURN QUERY SELECT target, log_head;
END
$$;

CREATE FUNCTION record_projection_error_v1(
    name text, generation int, account bigint, message text
) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO projection_checkpoints (name, generation, account_id, error)
    SELECT p.name, p.generation, record_projection_error_v1.account,
           record_projection_error_v1.message
      FROM projections p
     WHERE p.name = record_projection_error_v1.name
       AND p.generation = record_projection_error_v1.generation
        ON CONFLICT (name, generation, account_id) DO UPDATE SET error = excluded.error
$$;

GRANT SELECT ON projections, projection_checkpoints TO colloquy_service, colloquy_auditor;
GRANT EXECUTE ON FUNCTION advance_projection_v1, record_projection_error_v1 TO colloquy_service;
