-- A turn's events: the one that requested it, and its outcome. $4: a position before all of them.
SELECT e.*
  FROM recorded_events e
 WHERE e.account_id = $1 AND e.conversation_id = $2 AND e.position >= $4
   AND e.data->>'turn_id' = $3
 ORDER BY e.position
