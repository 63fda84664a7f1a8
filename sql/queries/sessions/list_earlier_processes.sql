-- Sessions of the owner with the lock of a process's number, which has 48 bits, and without the lock
-- by which processes of this release are known.
SELECT DISTINCT a.pid, a.application_name, host(a.client_addr) AS client
  FROM pg_stat_activity a
  JOIN pg_locks l ON l.pid = a.pid
 WHERE a.datname = current_database() AND a.usename = session_user
   AND l.locktype = 'advisory' AND l.granted AND l.mode = 'ExclusiveLock'
   AND l.objsubid = 1 AND l.classid::bigint < 65536
   AND NOT EXISTS (
       SELECT FROM pg_locks m
        WHERE m.pid = a.pid AND m.locktype = 'advisory' AND m.granted AND m.objsubid = 2
          AND m.classid::bigint = $1 AND m.objid::bigint = $2)
 ORDER BY a.pid
