SELECT a.experience_id, a.conversation_id
  FROM read.active_conversations a
 WHERE a.account_id = $1 AND a.user_id = $2
 ORDER BY a.conversation_id
