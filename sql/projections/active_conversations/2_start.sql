-- Only conversations that were started in the range and not completed in it.
INSERT INTO active_conversations (account_id, experience_id, user_id, conversation_id)
SELECT apply.account, max((e.data->>'experience_id')::bigint), max((e.data->>'user_id')::bigint),
       e.conversation_id
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('conversation_started.v1', 'conversation_completed.v1')
 GROUP BY e.conversation_id
HAVING every(e.type = 'conversation_started.v1');
