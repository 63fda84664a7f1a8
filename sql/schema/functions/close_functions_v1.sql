CREATE OR REPLACE FUNCTION public.close_functions_v1()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    door     record;
    language name;
BEGIN
    PERFORM close_locks_v1();
    IF NOT current_setting('is_superuser')::boolean THEN
        RETURN;
    END IF;
    FOR door IN SELECT p.oid::regprocedure AS function, p.proname AS name FROM pg_proc p
                 WHERE p.pronamespace = 'pg_catalog'::regnamespace
                   AND p.proname IN ('pg_notify', 'pg_notification_queue_usage',
                                     'pg_export_snapshot', 'pg_logical_emit_message',
                                     'pg_current_xact_id', 'txid_current')
                   AND has_function_privilege('public', p.oid, 'EXECUTE') LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', door.function);
        IF door.name IN ('pg_notify', 'pg_notification_queue_usage', 'pg_current_xact_id') THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO colloquy_service, colloquy_worker',
                           door.function);
        END IF;
    END LOOP;
    FOR language IN SELECT l.lanname FROM pg_language l
                     WHERE l.lanispl AND l.lanpltrusted
                       AND has_language_privilege('public', l.oid, 'USAGE') LOOP
        EXECUTE format('REVOKE USAGE ON LANGUAGE %I FROM PUBLIC', language);
        EXECUTE format('GRANT USAGE ON LANGUAGE %I TO %s', language,
                       (SELECT d.datdba::regrole FROM pg_database d
                         WHERE d.datname = current_database()));
    END LOOP;
END
$function$;
