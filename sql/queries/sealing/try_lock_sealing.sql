-- The lock of the sealing process, held until its session ends.
SELECT pg_try_advisory_lock($1)
