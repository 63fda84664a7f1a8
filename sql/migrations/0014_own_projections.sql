-- Trying out and comparing the generations of a projection, and the logins of analysts.

-- One range of a generation that is being tried out, also where it has no event for it.
CREATE FUNCTION try_range_v1(
    name text, generation int, account bigint, after_position bigint, upto_position bigint
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    tried text;
BEGIN
    SELECT p.schema_name INTO STRICT tried FROM projections p
     WHERE p.name = try_range_v1.name AND p.generation = try_range_v1.generation
       AND p.state = 'building';
    PERFORM set_config('colloquy.account', try_range_v1.account::text, true);
    EXECUTE format('SELECT %I.apply($1, $2, $3)', tried)
      USING try_range_v1.account, try_range_v1.after_position, try_range_v1.upto_position;
END
$$;

-- What the tables of a generation hold, in no order: rows and their digest; and how many of the
-- rows shown name another account, or a position that was not applied.
CREATE FUNCTION fingerprint_generation_v1(
    name text, generation int, account bigint, upto_position bigint
) RETURNS TABLE (relation text, number bigint, digest text, strays bigint)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    printed projections%ROWTYPE;
BEGIN
    SELECT * INTO STRICT printed FROM projections p
     WHERE p.name = fingerprint_generation_v1.name
       AND p.generation = fingerprint_generation_v1.generation;
    FOREACH relation IN ARRAY printed.tables LOOP
        EXECUTE format(
            'SELECT count(*), encode(sha256(convert_to('
            '           coalesce(string_agg(t::text, '','' ORDER BY t::text), ''''), ''UTF8'')), ''hex''),'
            '       count(*) FILTER (WHERE t.account_id <> $1 OR t.position NOT BETWEEN 1 AND $2)'
            '  FROM %I.%I t', printed.schema_name, relation)
           INTO number, digest, strays USING account, upto_position;
        RETURN NEXT;
    END LOOP;
END
$$;

-- A projection with its views, tables and all that is known of it.
CREATE FUNCTION drop_projection_v1(name text) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    LOCK TABLE projections IN SHARE ROW EXCLUSIVE MODE;
    PERFORM drop_views_v1(drop_projection_v1.name);
    PERFORM drop_generation_v1(p.name, p.generation) FROM projections p
      WHERE p.name = drop_projection_v1.name;
    DELETE FROM projection_pauses z WHERE z.name = drop_projection_v1.name;
END
$$;

CREATE TABLE analysts (
    role_name name PRIMARY KEY,
    made_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE analysts IS 'The logins of analysts that were made for this database.';

-- Everybody may take advisory locks and make large objects, also in a session that only reads: with
-- the one an analyst could hold up rebuilds, sealing and posts, with the other fill the disk. Where
-- the owner is a superuser, this takes both from all but the service's own roles, in this database.
CREATE FUNCTION close_doors_v1() RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    door record;
BEGIN
    IF current_setting('is_superuser')::boolean THEN
        FOR door IN SELECT p.oid::regprocedure AS function, p.proname ~ 'advisory' AS is_lock
                      FROM pg_proc p
                     WHERE p.pronamespace = 'pg_catalog'::regnamespace
                       AND p.proname ~ '^(pg_(try_)?advisory_|lo_|lowrite$|loread$)'
                       AND has_function_privilege('public', p.oid, 'EXECUTE') LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', door.function);
            IF door.is_lock THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s '
                               'TO colloquy_service, colloquy_worker, colloquy_auditor',
                               door.function);
            END IF;
        END LOOP;
    END IF;
END
$$;

-- A login that reads what colloquy_analyst may, of the accounts granted to it. A session that it
-- leaves open ends soon: it would hold up the swap of a rebuilt view.
CREATE FUNCTION create_analyst_v1(role_name name, verifier text, days int, connections int)
RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    setting text;
BEGIN
    PERFORM close_doors_v1();
    EXECUTE format('CREATE ROLE %I LOGIN INHERIT NOCREATEDB NOCREATEROLE NOREPLICATION '
                   'CONNECTION LIMIT %s PASSWORD %L', role_name, connections, verifier);
    IF days IS NOT NULL THEN
        EXECUTE format('ALTER ROLE %I VALID UNTIL %L', role_name, now() + make_interval(days => days));
    END IF;
    FOREACH setting IN ARRAY ARRAY[
        'default_transaction_read_only = on', 'statement_timeout = ''10min''',
        'idle_in_transaction_session_timeout = ''1min''', 'search_path = analytics'
    ] LOOP
        EXECUTE format('ALTER ROLE %I SET %s', role_name, setting);
    END LOOP;
    EXECUTE format('GRANT colloquy_analyst TO %I', role_name);
    INSERT INTO analysts (role_name) VALUES (create_analyst_v1.role_name);
END
$$;

-- Lets nobody log in as an analyst any more, and takes from those who are all that they see.
CREATE FUNCTION close_analyst_v1(role_name name) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM analyst_accounts g WHERE g.role_name = close_analyst_v1.role_name;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = close_analyst_v1.role_name) THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', role_name);
        -- Who made a role may alter it, and ends its sessions as a member of it.
        IF NOT pg_has_role(current_user, role_name, 'USAGE') THEN
            EXECUTE format('GRANT %I TO %I', role_name, current_user);
        END IF;
    END IF;
END
$$;

CREATE FUNCTION drop_analyst_v1(role_name name) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = drop_analyst_v1.role_name) THEN
        EXECUTE format('DROP OWNED BY %I', role_name);
        EXECUTE format('DROP ROLE %I', role_name);
    END IF;
    DELETE FROM analysts a WHERE a.role_name = drop_analyst_v1.role_name;
END
$$;

-- The columns that two tables have both, as they can be compared: as text where the types differ
-- or know no equality.
CREATE FUNCTION common_columns_v1(old_table regclass, new_table regclass)
RETURNS TABLE (attname name, compared text, in_key boolean)
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT n.attname,
           format(CASE WHEN n.atttypid = o.atttypid AND n.atttypid <> 'json'::regtype
                       THEN '%1$I' ELSE '%1$I::text AS %1$I' END, n.attname),
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = new_table AND i.indisprimary
                                            AND n.attnum = ANY (i.indkey))
      FROM pg_attribute n
      JOIN pg_attribute o ON o.attrelid = old_table AND o.attname = n.attname
                         AND o.attnum > 0 AND NOT o.attisdropped
     WHERE n.attrelid = new_table AND n.attnum > 0 AND NOT n.attisdropped
     ORDER BY n.attnum
$$;

-- How the tables that two generations show differ, with some of the rows that do. Rows of views
-- that are not for analysts may hold texts: of these there are the keys alone.
CREATE FUNCTION compare_generations_v1(
    name text, old_generation int, new_generation int, most int
) RETURNS TABLE (relation text, standing text, added text[], removed text[],
                 only_old bigint, only_new bigint, changed bigint, samples text)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    old_one   projections%ROWTYPE;
    new_one   projections%ROWTYPE;
    old_table regclass;
    new_table regclass;
    columns   text;
    keys      text;
BEGIN
    SELECT * INTO STRICT old_one FROM projections p
     WHERE p.name = compare_generations_v1.name AND p.generation = old_generation;
    SELECT * INTO STRICT new_one FROM projections p
     WHERE p.name = compare_generations_v1.name AND p.generation = new_generation;
    FOR relation IN SELECT unnest(old_one.tables) UNION SELECT unnest(new_one.tables) ORDER BY 1 LOOP
        old_table := CASE WHEN relation = ANY (old_one.tables)
                          THEN to_regclass(format('%I.%I', old_one.schema_name, relation)) END;
        new_table := CASE WHEN relation = ANY (new_one.tables)
                          THEN to_regclass(format('%I.%I', new_one.schema_name, relation)) END;
        SELECT '{}', '{}', 0, 0, 0, '[]' INTO added, removed, only_old, only_new, changed, samples;
        standing := CASE WHEN old_table IS NULL THEN 'new' WHEN new_table IS NULL THEN 'old'
                         ELSE 'both' END;
        IF standing = 'both' THEN
            SELECT string_agg(c.compared, ', '),
                   coalesce(string_agg(quote_ident(c.attname), ', ') FILTER (WHERE c.in_key),
                            string_agg(quote_ident(c.attname), ', '))
              INTO columns, keys
              FROM common_columns_v1(old_table, new_table) c;
            SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum)
                                FILTER (WHERE a.attrelid = new_table), '{}'),
                   coalesce(array_agg(a.attname::text ORDER BY a.attnum)
                                FILTER (WHERE a.attrelid = old_table), '{}')
              INTO added, removed
              FROM pg_attribute a
             WHERE a.attrelid IN (old_table, new_table) AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attname NOT IN (SELECT c.attname
                                       FROM common_columns_v1(old_table, new_table) c);
            EXECUTE format(
                'WITH gone AS (SELECT (SELECT to_jsonb(k) FROM (SELECT %3$s) k) AS key, '
                '                     to_jsonb(x) AS line '
                '                FROM (SELECT %4$s FROM %1$s EXCEPT ALL SELECT %4$s FROM %2$s) x), '
                '     come AS (SELECT (SELECT to_jsonb(k) FROM (SELECT %3$s) k) AS key, '
                '                     to_jsonb(x) AS line '
                '                FROM (SELECT %4$s FROM %2$s EXCEPT ALL SELECT %4$s FROM %1$s) x), '
                '     pairs AS (SELECT key, g.line AS old, c.line AS new '
                '                 FROM gone g FULL JOIN come c USING (key)) '
                'SELECT count(*) FILTER (WHERE p.new IS NULL), '
                '       count(*) FILTER (WHERE p.old IS NULL), '
                '       count(*) FILTER (WHERE p.old IS NOT NULL AND p.new IS NOT NULL), '
                '       (SELECT coalesce(jsonb_agg(CASE WHEN $2 THEN to_jsonb(s) '
                '                                       ELSE jsonb_build_object(''key'', s.key) END), '
                '                        ''[]'')::text '
                '          FROM (SELECT * FROM pairs ORDER BY key LIMIT $1) s) '
                '  FROM pairs p',
                old_table, new_table, keys, columns)
              INTO only_old, only_new, changed, samples
             USING most, old_one.stable_schema = 'analytics' AND new_one.stable_schema = 'analytics';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
