INSERT INTO message_feedback (account_id, conversation_id, user_id, message_id, position,
                              feedback_id, vote, feedback_message, created_at)
SELECT apply.account, l.conversation_id, (l.data->>'user_id')::bigint,
       (l.data->>'message_id')::uuid, l.position, (l.data->>'feedback_id')::uuid, l.data->>'vote',
       (SELECT c.content FROM event_content c
         WHERE c.account_id = apply.account AND c.position = l.position),
       l.recorded_at
  FROM (SELECT DISTINCT ON (e.data->>'user_id', e.data->>'message_id')
               e.type, e.position, e.conversation_id, e.data, e.recorded_at
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')
         ORDER BY e.data->>'user_id', e.data->>'message_id', e.position DESC) l
 WHERE l.type = 'feedback_given.v1';
