-- Which of these events did reach the log before the connection broke?
SELECT event_id, position, revision, recorded_at
  FROM events
 WHERE account_id = $1 AND event_id = ANY ($2)
