-- The owner of a turn holds this lock while it is alive.
SELECT pg_try_advisory_xact_lock_shared($1)
