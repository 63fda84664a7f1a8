CREATE OR REPLACE FUNCTION public.fingerprint_generation_v1(name text, generation integer, account bigint, upto_position bigint)
 RETURNS TABLE(relation text, number bigint, digest text, strays bigint)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
