-- Addresses of the processes that serve this database, from their liveness connections.
SELECT substr(a.application_name, length('colloquy on ') + 1) AS address, count(*) AS processes
  FROM pg_stat_activity a
 WHERE a.datname = current_database() AND starts_with(a.application_name, 'colloquy on ')
 GROUP BY 1
 ORDER BY 1
