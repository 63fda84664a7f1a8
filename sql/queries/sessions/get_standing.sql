-- The timeline is the one being written; the control file's checkpoint may have an older one.
SELECT s.system_identifier AS system,
       CASE WHEN NOT pg_is_in_recovery()
            THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END
       AS timeline
  FROM pg_control_system() s
