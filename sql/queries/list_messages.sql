SELECT m.message_id::text AS id, m.turn_id::text AS turn_id, m.role, m.text, m.created_at, m.revision
  FROM read.conversation_messages m
 WHERE m.account_id = $1 AND m.conversation_id = $2
 ORDER BY m.position, m.ordinal
