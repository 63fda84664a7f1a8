SELECT m.role, m.text IS NULL AS removed FROM read.conversation_messages m
 WHERE m.account_id = $1 AND m.conversation_id = $2 AND m.message_id = $3
 LIMIT 1
