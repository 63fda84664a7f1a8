SELECT m.role, m.text
  FROM read.conversation_messages m
 WHERE m.account_id = $1 AND m.conversation_id = $2
 ORDER BY m.position, m.ordinal
