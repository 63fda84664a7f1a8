-- Transactions that read a projection's tables, the oldest first. Only superusers and members of
-- pg_read_all_stats see when other users' transactions began.
SELECT a.usename::text AS login, a.pid,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
  FROM pg_stat_activity a
 WHERE a.pid <> pg_backend_pid()
   AND EXISTS (SELECT FROM pg_locks l
                 JOIN pg_class c ON c.oid = l.relation
                 JOIN projections p ON p.schema_name::regnamespace = c.relnamespace
                WHERE l.pid = a.pid AND l.database = a.datid AND l.granted
                  AND p.name = $1 AND p.state = 'live')
 ORDER BY a.xact_start, a.pid
