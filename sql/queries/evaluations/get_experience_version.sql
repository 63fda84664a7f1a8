SELECT v.experience_version FROM read.conversations v
 WHERE v.account_id = $1 AND v.conversation_id = $2
