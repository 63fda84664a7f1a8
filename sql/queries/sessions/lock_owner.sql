-- Waits for sessions that are checking whether the owner is gone; it counts as alive meanwhile.
SELECT pg_advisory_lock($1)
