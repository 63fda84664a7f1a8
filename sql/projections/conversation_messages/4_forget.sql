-- The starting prompt (ordinal 0) is nobody's personal text.
UPDATE conversation_messages m
   SET text = NULL
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'text_expired.v1'
   AND m.account_id = e.account_id AND m.conversation_id = e.conversation_id
   AND m.position < e.position AND m.ordinal = 1;
