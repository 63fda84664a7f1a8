SELECT f.user_id FROM read.message_feedback f
 WHERE f.account_id = $1 AND f.conversation_id = $2 AND f.message_id = $3 AND f.feedback_id = $4
