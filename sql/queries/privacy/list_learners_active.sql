SELECT a.experience_id, a.conversation_id
  FROM (SELECT r.experience_id, r.conversation_id FROM read.active_conversations r
         WHERE r.account_id = $1 AND r.user_id = $2
        OFFSET 0) a
 ORDER BY a.conversation_id
