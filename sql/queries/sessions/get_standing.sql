-- The timeline is that of what is written now; a checkpoint may know an older one.
SELECT s.system_identifier AS system,
       CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END
       AS timeline
  FROM pg_control_system() s
