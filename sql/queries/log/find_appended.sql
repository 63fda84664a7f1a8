-- The events that reached the log before the connection broke; each is looked up.
SELECT e.event_id, e.position, e.revision, e.recorded_at
  FROM unnest($2::uuid[]) AS u (event_id)
 CROSS JOIN LATERAL (
       SELECT v.event_id, v.position, v.revision, v.recorded_at
         FROM events v
        WHERE v.account_id = $1 AND v.event_id = u.event_id
       OFFSET 0) e
