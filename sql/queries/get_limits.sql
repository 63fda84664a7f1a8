-- How many connections the server lets us have at most, and what else of it no session can change.
SELECT CASE WHEN r.rolsuper THEN current_setting('max_connections')::int
            ELSE least(current_setting('max_connections')::int
                           - current_setting('superuser_reserved_connections')::int
                           - coalesce(current_setting('reserved_connections', true)::int, 0),
                       nullif(d.datconnlimit, -1), nullif(r.rolconnlimit, -1)) END AS connections,
       current_setting('server_encoding') AS encoding,
       current_setting('max_prepared_transactions')::int AS prepared
  FROM pg_database d, pg_roles r
 WHERE d.datname = current_database() AND r.rolname = session_user
