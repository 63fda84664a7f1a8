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
