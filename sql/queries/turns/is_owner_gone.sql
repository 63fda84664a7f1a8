-- The owner of a turn holds this lock for as long as it lives.
SELECT pg_try_advisory_xact_lock_shared($1)
