CREATE OR REPLACE FUNCTION public.analyze_generation_v1(name text, generation integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
