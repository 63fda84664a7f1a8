CREATE OR REPLACE FUNCTION public.create_analyst_v1(role_name name, verifier text, days integer, connections integer)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
