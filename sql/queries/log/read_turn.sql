-- What a turn consists of: the event that asked for it, and what came of it. $4: a position before
-- which none of these is.
SELECT e.*
  FROM recorded_events e
 WHERE e.account_id = $1 AND e.conversation_id = $2 AND e.position >= $4
   AND e.data->>'turn_id' = $3
 ORDER BY e.position
