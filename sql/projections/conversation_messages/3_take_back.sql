DELETE FROM conversation_messages m
 USING events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('reply_failed.v1', 'reply_cancelled.v1')
   AND m.account_id = e.account_id AND m.conversation_id = e.conversation_id
   AND m.turn_id = (e.data->>'turn_id')::uuid;
