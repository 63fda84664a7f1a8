-- What a turn consists of: the event that asked for it, and what came of it. $4: a position before
-- which none of these is.
SELECT e.account_id, e.position, e.stream, e.revision, e.event_id, e.data, e.metadata,
       e.recorded_at, e.content_hash,
       (SELECT c.content FROM event_content c
         WHERE c.account_id = $1 AND c.position = e.position) AS content
  FROM events e
 WHERE e.account_id = $1 AND e.conversation_id = $2 AND e.position >= $4
   AND e.data->>'turn_id' = $3
 ORDER BY e.position
