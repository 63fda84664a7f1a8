SELECT e.account_id, e.position, e.stream, e.revision, e.event_id, e.data, e.metadata,
       e.recorded_at, e.content_hash,
       (SELECT c.content FROM event_content c
         WHERE c.account_id = $1 AND c.position = e.position) AS content
  FROM events e
 WHERE e.account_id = $1 AND e.position = (SELECT find_request_v2($1, $2, $3))
