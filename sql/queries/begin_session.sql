-- What a new session needs and cannot ask for while it connects; and which server it is on.
-- synchronous_commit may be stronger than ours, or local beside standbys: only off loses what was
-- acknowledged. It is set also where it is right, so that no reload of a file takes it away.
-- `dropped` are the settings that were asked for and are not so.
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
              WHERE current_setting(o.name, true) IS NOT NULL)
  FROM pg_control_system() s
