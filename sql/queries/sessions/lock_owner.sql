-- The first lock, which all share, tells a process of this release from earlier ones. The second
-- waits for sessions that are checking whether the owner is gone; it counts as alive meanwhile.
SELECT pg_advisory_lock_shared($2, $3), pg_advisory_lock($1)
