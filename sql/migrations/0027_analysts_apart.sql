-- What an analyst's login can still do to others. Where the owner is a superuser, these functions
-- are taken from all but it, as the locks were:
--   pg_notify, which fills the server's queue of notifications (NOTIFY itself nobody can take away,
--     so a full queue must do no harm), and pg_notification_queue_usage, which tells of others';
--   pg_export_snapshot, which leaves a file for each snapshot;
--   pg_logical_emit_message, which writes to the log of the server;
--   pg_current_xact_id and txid_current, which use up the numbers of transactions;
--   and the procedural languages, in which DO writes what it likes to the log of the server.
ALTER FUNCTION close_functions_v1() RENAME TO close_locks_v1;

CREATE FUNCTION close_functions_v1() RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
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
$$;

-- As before, and nothing that a login runs is written to the log of the server: neither statements
-- that fail, however long, nor what a session may have written there of its own (debug_print_plan,
-- trace_sort). That somebody connects, or does not, still is.
CREATE OR REPLACE FUNCTION limit_spilling_v1(login name) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF current_setting('is_superuser')::boolean THEN
        EXECUTE format('ALTER ROLE %I SET temp_file_limit = ''2GB''', login);
        EXECUTE format('ALTER ROLE %I SET log_min_messages = fatal', login);
        -- A session that is ended is told of, but not with the statement that it was at.
        EXECUTE format('ALTER ROLE %I SET log_min_error_statement = panic', login);
    END IF;
END
$$;

-- So that the owner sees what a login's sessions do, and may end them.
CREATE FUNCTION watch_analyst_v1(role_name name) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT pg_has_role(current_user, role_name, 'USAGE') THEN
        EXECUTE format('GRANT %I TO %I', role_name, current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    NULL;  -- whoever made it must end them
END
$$;

-- A transaction keeps what it sees from being cleaned up, and notifications in their queue. A login
-- may lift every timeout of its own, so the service ends transactions that are older than this, in
-- whichever database of the server they are.
CREATE FUNCTION end_analysts_v1(age interval) RETURNS SETOF name
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS MATERIALIZED (
        SELECT s.pid, s.usename
          FROM pg_stat_activity s JOIN analysts a ON a.role_name = s.usename
         WHERE s.xact_start < clock_timestamp() - age
           AND pg_has_role(current_user, s.usename, 'USAGE'))
    SELECT o.usename FROM old o WHERE pg_terminate_backend(o.pid)
$$;
GRANT EXECUTE ON FUNCTION end_analysts_v1 TO colloquy_worker;

-- For the logins that there are already.
SELECT close_doors_v1() FROM analysts LIMIT 1;
SELECT limit_spilling_v1(a.role_name) FROM analysts a JOIN pg_roles r ON r.rolname = a.role_name;
SELECT watch_analyst_v1(a.role_name) FROM analysts a JOIN pg_roles r ON r.rolname = a.role_name;
