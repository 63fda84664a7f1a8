CREATE OR REPLACE FUNCTION public.close_locks_v1()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
