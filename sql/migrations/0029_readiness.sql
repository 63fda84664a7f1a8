-- Fails unless the database takes writes at this moment: as a standby, on a server that waits for a
-- standby which is gone, or without rights it does not. A row that nobody else locks is locked,
-- which is written to the log of the server and waited for, and changes nothing.
CREATE FUNCTION try_writing_v1() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT FROM schema_migrations m WHERE m.number = 1 FOR UPDATE
$$;

GRANT EXECUTE ON FUNCTION try_writing_v1 TO colloquy_worker;
