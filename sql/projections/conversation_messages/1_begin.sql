INSERT INTO conversation_messages (account_id, conversation_id, position, ordinal,
                                   message_id, turn_id, role, text, created_at,
                                   revision)
SELECT e.account_id, e.conversation_id, e.position, 0, (e.data->>'starting_message_id')::uuid,
       (e.data->>'turn_id')::uuid, 'User', e.data->>'starting_prompt', e.recorded_at,
       e.revision
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_started.v1';
