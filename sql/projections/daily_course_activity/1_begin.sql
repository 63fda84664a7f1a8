INSERT INTO conversation_progress (account_id, conversation_id, objectives)
SELECT e.account_id, e.conversation_id, jsonb_array_length(e.data->'objectives')
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_started.v1' AND e.data->'objectives' <> '[]';
