-- Sets what a new session cannot request while it connects, and returns the server's identity.
-- synchronous_commit may be stronger than ours, or local beside standbys: only off loses
-- acknowledged data. It is set even if it is right, so that no reload of a configuration file
-- changes it.
-- `dropped` are the requested settings that are not in effect.
-- Parameters hold learners' texts. A server that logs statements would log them, too. Only
-- superusers and logins with the right may prevent that, so the session leaves its role for this.
SELECT s.system_identifier AS system,
       CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END
       AS timeline,
       current_setting('session_replication_role') <> 'origin' AS without_triggers,
       ARRAY(SELECT a.name FROM unnest($1::text[], $2::text[]) AS a (name, value)
              WHERE current_setting(a.name, true) IS DISTINCT FROM a.value ORDER BY 1) AS dropped,
       set_config('synchronous_commit',
                  coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false),
       ARRAY(SELECT set_config(o.name, o.value, false)  -- what not every PostgreSQL has
               FROM unnest($3::text[], $4::text[]) AS o (name, value)
              WHERE current_setting(o.name, true) IS NOT NULL),
       set_config('colloquy.role', current_setting('role'), false),
       set_config('role', 'none', false),
       CASE WHEN has_parameter_privilege(session_user, 'log_parameter_max_length', 'SET')
            THEN set_config('log_parameter_max_length', '0', false) END,
       CASE WHEN current_setting('auto_explain.log_min_duration', true) IS NOT NULL
             AND has_parameter_privilege(session_user, 'auto_explain.log_min_duration', 'SET')
            THEN set_config('auto_explain.log_min_duration', '-1', false) END,
       set_config('role', current_setting('colloquy.role'), false)
  FROM pg_control_system() s
