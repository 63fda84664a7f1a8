CREATE OR REPLACE FUNCTION public.rewrite_inline_dispatch_v1()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
