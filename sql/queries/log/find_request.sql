SELECT e.*
  FROM recorded_events e
 WHERE e.account_id = $1 AND e.position = (SELECT find_request_v2($1, $2, $3))
