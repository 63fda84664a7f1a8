-- The owner of a turn holds the lock of its number while it is alive.
SELECT account_id, stream
  FROM read.pending_turns
 WHERE deadline_at <= now() OR owner IS NULL OR pg_try_advisory_xact_lock_shared(owner)
