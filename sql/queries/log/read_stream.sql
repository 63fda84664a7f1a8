SELECT e.account_id, e.position, e.stream, e.revision, e.event_id, e.data, e.metadata,
       e.recorded_at, e.content_hash,
       (SELECT c.content FROM event_content c
         WHERE c.account_id = $1 AND c.position = e.position) AS content
  FROM events e
 WHERE e.account_id = $1 AND e.stream = $2 AND e.revision > $3
   AND e.revision <= $5
   AND e.revision >= (SELECT coalesce((
       SELECT l.revision FROM events l
        WHERE l.account_id = $1 AND l.stream = $2 AND l.type = $4 AND l.revision <= $5
        ORDER BY l.revision DESC LIMIT 1), 0))
 ORDER BY e.revision
