-- What a new session needs and cannot ask for while it connects; and which server it is on.
-- synchronous_commit may be stronger than ours, or local beside standbys: only off loses what was
-- acknowledged. It is set also where it is right, so that no reload of a file takes it away.
SELECT s.system_identifier AS system,
       CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END
       AS timeline,
       current_setting('session_replication_role') <> 'origin' AS without_triggers,
       set_config('synchronous_commit',
                  coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'), false),
       CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL  -- PostgreSQL 17
            THEN set_config('transaction_timeout', '0', false) END
  FROM pg_control_system() s
