CREATE OR REPLACE FUNCTION public.drop_generation_v1(name text, generation integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    doomed text;
BEGIN
    DELETE FROM projections p
     WHERE p.name = drop_generation_v1.name AND p.generation = drop_generation_v1.generation
    RETURNING p.schema_name INTO doomed;
    EXECUTE format('DROP SCHEMA %I CASCADE', doomed);
END
$function$;
