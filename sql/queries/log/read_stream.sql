SELECT e.*
  FROM recorded_events e
 WHERE e.account_id = $1 AND e.stream = $2 AND e.revision > $3
   AND e.revision <= $5
   AND e.revision >= (SELECT coalesce((
       SELECT l.revision FROM events l
        WHERE l.account_id = $1 AND l.stream = $2 AND l.type = $4 AND l.revision <= $5
        ORDER BY l.revision DESC LIMIT 1), 0))
 ORDER BY e.revision
