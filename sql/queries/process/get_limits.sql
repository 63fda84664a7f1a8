-- The server's limit of connections for us and the setting that it comes from, and further settings
-- that no session can change.
SELECT l.connections, l.told, current_setting('server_encoding') AS encoding,
       current_setting('max_prepared_transactions')::int AS prepared
  FROM pg_roles r
  JOIN pg_database d ON d.datname = current_database()
 CROSS JOIN LATERAL (VALUES
        (current_setting('max_connections')::int
             - CASE WHEN r.rolsuper THEN 0
                    ELSE current_setting('superuser_reserved_connections')::int
                         + coalesce(current_setting('reserved_connections', true)::int, 0) END,
         'max_connections of the server'),
        (nullif(CASE WHEN r.rolsuper THEN -1 ELSE d.datconnlimit END, -1),
         format('ALTER DATABASE %I CONNECTION LIMIT', d.datname)),
        (nullif(CASE WHEN r.rolsuper THEN -1 ELSE r.rolconnlimit END, -1),
         format('ALTER ROLE %I CONNECTION LIMIT', r.rolname))) AS l (connections, told)
 WHERE r.rolname = session_user AND l.connections IS NOT NULL
 ORDER BY l.connections
 LIMIT 1
