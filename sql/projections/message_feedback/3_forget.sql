UPDATE message_feedback f
   SET feedback_message = NULL
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'text_expired.v1'
   AND f.account_id = e.account_id AND f.conversation_id = e.conversation_id
   AND f.position < e.position;
