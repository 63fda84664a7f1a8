-- Lines with positions ($2, $3], with the texts that they commit to. The expression repeats
-- event_line_v1, since the database's owner can replace a function but not this text.
SELECT e.position, coalesce(c.subject_id, 0),
       '{"account_id":' || e.account_id
           || ',"position":' || e.position
           || ',"stream":' || to_json(e.stream)
           || ',"revision":' || e.revision
           || ',"event_id":"' || e.event_id
           || '","type":' || to_json(e.type)
           || ',"conversation_id":' || coalesce(e.conversation_id::text, 'null')
           || ',"recorded_at":"'
           || to_char(e.recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || '","content_hash":' || coalesce('"' || encode(e.content_hash, 'hex') || '"', 'null')
           || ',"data":' || e.data
           || ',"metadata":' || e.metadata
           || '}',
       c.salt, c.content
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
 WHERE e.account_id = $1 AND e.position > $2 AND e.position <= $3
 ORDER BY e.position
