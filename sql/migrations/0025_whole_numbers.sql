-- The counts that a provider tells stand in events as they were told, and in those of earlier
-- releases anything may stand there. Every statement reads them by this, in one look at the value. No
-- sum of what it gives leaves bigint before a log has nine million such events.
CREATE FUNCTION whole_number_v1(told jsonb) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_path_query_first(
        told, 'strict $ ? (@ >= 0 && @ <= 1000000000000 && @.floor() == @)')::bigint
$$;
COMMENT ON FUNCTION whole_number_v1 IS 'The whole number from 0 to 10^12 that a JSON value is; null for any other value.';
