-- Settings of the server that no session can change and that may lose or change acknowledged data.
SELECT s.name, s.setting
  FROM pg_settings s
  JOIN (VALUES ('fsync', 'off'), ('full_page_writes', 'off'), ('data_sync_retry', 'on'),
               ('zero_damaged_pages', 'on'), ('ignore_checksum_failure', 'on'),
               ('ignore_invalid_pages', 'on'), ('ignore_system_indexes', 'on'),
               ('allow_system_table_mods', 'on'), ('autovacuum', 'off'),
               ('session_replication_role', 'replica'), ('session_replication_role', 'local'))
       AS unsafe (name, setting) USING (name, setting)
 ORDER BY s.name
