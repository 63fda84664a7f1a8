-- Row-level security: the second wall between accounts. The first is the queries, each of which
-- names the account. The service's role sees the rows of the account that its session has
-- entered (setting colloquy.account), and none where it has entered none.

-- colloquy_worker does the service's own work over all accounts: abandoned turns, followed
-- projections. Roles belong to the whole server: another database may have made it already.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'colloquy_worker') THEN
            CREATE ROLE colloquy_worker NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    BEGIN
        SET LOCAL ROLE colloquy_worker;
        RESET ROLE;
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('GRANT colloquy_worker TO %I', current_user);
    END;
END
$$;
CREATE TABLE identities (
    account_id bigint NOT NULL,
    subject    text NOT NULL,
    user_id    bigint NOT NULL,
    PRIMARY KEY (account_id, subject),
    FOREIGN KEY (account_id, user_id) REFERENCES users
);
CREATE INDEX identities_user ON identities (account_id, user_id);
COMMENT ON TABLE identities IS 'Users as the identity provider of their institution names them.';

ALTER TABLE tokens ADD COLUMN admin boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN tokens.admin IS 'May act as any user of its account.';

CREATE FUNCTION current_account_v1() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('colloquy.account', true), '')::bigint
$$;
COMMENT ON FUNCTION current_account_v1 IS 'The account that the session has entered, or null.';

-- The one thing that is asked before an account is entered: which one a token belongs to.
CREATE FUNCTION find_token_account_v1(token_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.account_id FROM tokens t WHERE t.token_hash = find_token_account_v1.token_hash
$$;

-- Position of the event that a request with an idempotency key led to. Row-level security keeps
-- conditions on what is inside JSON from using an index; here the account is checked by itself.
CREATE FUNCTION find_request_v1(account bigint, user_id bigint, idempotency_key text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.position FROM events e
     WHERE e.account_id = find_request_v1.account AND e.account_id = current_account_v1()
       AND (e.metadata->'actor'->>'id')::bigint = find_request_v1.user_id
       AND e.metadata->>'idempotency_key' = find_request_v1.idempotency_key
       AND e.metadata ? 'idempotency_key'
$$;

-- A user for whom an identity provider vouches becomes known, though no roster names them: else
-- nobody could find, hold or erase what they say.
CREATE FUNCTION admit_user_v1(account bigint, user_id bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO users (account_id, user_id, name)
    SELECT admit_user_v1.account, admit_user_v1.user_id, 'User ' || admit_user_v1.user_id
     WHERE admit_user_v1.account = current_account_v1()
        ON CONFLICT DO NOTHING
$$;

-- Lets each role see what it may of a table: the service its session's account, the others all.
CREATE FUNCTION guard_table_v1(guarded regclass) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', guarded);
    EXECUTE format(
        'CREATE POLICY account_entered ON %s FOR SELECT TO colloquy_service '
        'USING (account_id = current_account_v1())', guarded);
    EXECUTE format(
        'CREATE POLICY every_account ON %s FOR SELECT '
        'TO colloquy_worker, colloquy_auditor, colloquy_analyst USING (true)', guarded);
END
$$;

-- The tables of a projection, guarded and shown to its readers. The stable views look at them
-- with the rights of whoever asks, or else the policies would not apply.
CREATE FUNCTION guard_generation_v1(name text, generation int) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    guarded  projections%ROWTYPE;
    relation text;
    reader   text;
BEGIN
    SELECT * INTO STRICT guarded FROM projections p
     WHERE p.name = guard_generation_v1.name
       AND p.generation = guard_generation_v1.generation;
    FOREACH reader IN ARRAY guarded.readers LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', guarded.schema_name, reader);
    END LOOP;
    FOREACH relation IN ARRAY guarded.tables LOOP
        PERFORM guard_table_v1(format('%I.%I', guarded.schema_name, relation)::regclass);
        FOREACH reader IN ARRAY guarded.readers LOOP
            EXECUTE format('GRANT SELECT ON %I.%I TO %I', guarded.schema_name, relation, reader);
        END LOOP;
    END LOOP;
END
$$;

-- As before, but that the new generation is guarded first and its views have no rights of their
-- own.
CREATE OR REPLACE FUNCTION publish_generation_v1(name text, generation int) RETURNS void
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
    PERFORM guard_generation_v1(publish_generation_v1.name, publish_generation_v1.generation);
    FOREACH relation IN ARRAY fresh.tables LOOP
        EXECUTE format('CREATE VIEW read.%I WITH (security_invoker = true) AS SELECT * FROM %I.%I',
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

SELECT guard_table_v1(guarded) FROM unnest(ARRAY[
    'accounts', 'log_heads', 'events', 'event_content', 'id_counters', 'projection_checkpoints',
    'courses', 'users', 'enrollments', 'tokens', 'identities'
]::regclass[]) guarded;

DO $$
DECLARE
    live     projections%ROWTYPE;
    relation text;
BEGIN
    FOR live IN SELECT * FROM projections p WHERE p.state = 'live' LOOP
        PERFORM guard_generation_v1(live.name, live.generation);
        FOREACH relation IN ARRAY live.tables LOOP
            EXECUTE format('ALTER VIEW read.%I SET (security_invoker = true)', relation);
        END LOOP;
    END LOOP;
END
$$;

GRANT SELECT ON identities TO colloquy_service;
GRANT EXECUTE ON FUNCTION current_account_v1
    TO colloquy_service, colloquy_worker, colloquy_auditor, colloquy_analyst;
GRANT EXECUTE ON FUNCTION find_token_account_v1 TO colloquy_worker;
GRANT EXECUTE ON FUNCTION find_request_v1, admit_user_v1 TO colloquy_service;

GRANT USAGE ON SCHEMA read TO colloquy_worker;
GRANT SELECT ON accounts, log_heads, projections, projection_checkpoints TO colloquy_worker;
GRANT EXECUTE ON FUNCTION advance_projection_v1, record_projection_error_v1 TO colloquy_worker;
REVOKE EXECUTE ON FUNCTION advance_projection_v1, record_projection_error_v1 FROM colloquy_service;
REVOKE SELECT ON accounts, projections, projection_checkpoints FROM colloquy_service;
