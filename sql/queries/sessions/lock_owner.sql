-- Waits for those who are just looking whether the owner is gone; meanwhile it is not.
SELECT pg_advisory_lock($1)
