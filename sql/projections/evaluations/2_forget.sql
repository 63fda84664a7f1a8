UPDATE evaluations v
   SET evaluation = NULL
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'text_expired.v1'
   AND v.account_id = e.account_id AND v.conversation_id = e.conversation_id
   AND v.position < e.position;
