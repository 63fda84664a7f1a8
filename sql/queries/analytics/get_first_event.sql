-- The id of a log's first event, which identifies the log and never changes.
SELECT event_id::text FROM events WHERE account_id = $1 AND position = 1
