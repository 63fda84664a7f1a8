DELETE FROM active_conversations a
 USING events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_completed.v1'
   AND a.account_id = e.account_id AND a.conversation_id = e.conversation_id;
