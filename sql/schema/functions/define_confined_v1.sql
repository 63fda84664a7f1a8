CREATE OR REPLACE FUNCTION public.define_confined_v1(target_schema text, definition text, statements text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO colloquy_projector', target_schema);
    PERFORM run_confined_v1(target_schema, definition);
    PERFORM run_confined_v1(target_schema, format(
        'CREATE FUNCTION %I.apply(account bigint, after_position bigint, upto_position bigint) '
        'RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = %I, public, pg_temp '
        'SET "TimeZone" = ''UTC'' ',
        target_schema, target_schema)
        || E'BEGIN ATOMIC\n' || array_to_string(statements, E'\n;\n') || E'\n;\nEND');
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %I.apply FROM PUBLIC', target_schema);
    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM colloquy_projector', target_schema);
END
$function$;
