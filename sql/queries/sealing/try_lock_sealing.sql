-- Held by the session of the one process that seals, until that session ends.
SELECT pg_try_advisory_lock($1)
