SELECT e.*
  FROM recorded_events e
 WHERE e.account_id = $1 AND e.conversation_id = $2 AND e.position > $3
 ORDER BY e.position
 LIMIT $4
