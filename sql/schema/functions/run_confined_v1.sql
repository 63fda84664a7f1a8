CREATE OR REPLACE FUNCTION public.run_confined_v1(target_schema text, statements text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format(
        'CREATE FUNCTION %I.run_once(statements text) RETURNS void LANGUAGE plpgsql '
        'SECURITY DEFINER SET search_path = %I, public, pg_temp AS %L',
        target_schema, target_schema, 'BEGIN EXECUTE statements; END');
    EXECUTE format('ALTER FUNCTION %I.run_once(text) OWNER TO colloquy_projector', target_schema);
    EXECUTE format('SELECT %I.run_once($1)', target_schema) USING statements;
    EXECUTE format('DROP FUNCTION IF EXISTS %I.run_once(text)', target_schema);
END
$function$;
