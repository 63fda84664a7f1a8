-- NOT IN, since it is looked up in a hash whatever the joins may be.
INSERT INTO active_conversations (account_id, experience_id, user_id, conversation_id)
SELECT s.account_id, (s.data->>'experience_id')::bigint, (s.data->>'user_id')::bigint,
       s.conversation_id
  FROM events s
 WHERE s.account_id = apply.account
   AND s.position > apply.after_position AND s.position <= apply.upto_position
   AND s.type = 'conversation_started.v1'
   AND s.conversation_id NOT IN (
       SELECT e.conversation_id
         FROM events e
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type = 'conversation_completed.v1');
