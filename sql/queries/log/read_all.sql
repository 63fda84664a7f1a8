SELECT e.*
  FROM recorded_events e
 WHERE e.account_id = $1 AND e.position > $2
 ORDER BY e.position
 LIMIT $3
