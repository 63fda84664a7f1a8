INSERT INTO conversation_messages (account_id, conversation_id, position, ordinal,
                                   message_id, turn_id, role, text, created_at)
SELECT e.account_id, e.conversation_id, e.position, m.ordinal, m.message_id,
       (e.data->>'turn_id')::uuid, m.role, m.text, e.recorded_at
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
 CROSS JOIN LATERAL (
       SELECT 1 AS ordinal, (e.data->>'message_id')::uuid AS message_id,
              CASE e.type WHEN 'message_posted.v1' THEN 'User' ELSE 'Assistant' END AS role,
              c.content AS text
        UNION ALL
       SELECT 0, (e.data->>'starting_message_id')::uuid, 'User', e.data->>'starting_prompt'
        WHERE e.type = 'conversation_started.v1') m
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('conversation_started.v1', 'message_posted.v1', 'reply_completed.v1');
