SELECT e.account_id, e.position, e.stream, e.revision, e.event_id, e.data, e.metadata,
       e.recorded_at, e.content_hash, c.content
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
 WHERE e.account_id = $1 AND e.position = (SELECT find_request_v1($1, $2, $3))
