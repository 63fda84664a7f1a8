-- What was seen of a reply that was stopped is a message of its own.
INSERT INTO conversation_messages (account_id, conversation_id, position, ordinal,
                                   message_id, turn_id, role, text, created_at,
                                   revision, state, code)
SELECT e.account_id, e.conversation_id, e.position, 1, s.message_id,
       (e.data->>'turn_id')::uuid,
       CASE e.type WHEN 'message_posted.v1' THEN 'User' ELSE 'Assistant' END,
       (SELECT c.content FROM event_content c
         WHERE c.account_id = apply.account AND c.position = e.position),
       e.recorded_at, e.revision, CASE WHEN s.code IS NOT NULL THEN 'incomplete' END, s.code
  FROM events e,
       LATERAL (SELECT coalesce(e.data->>'message_id', e.data->>'partial_message_id')::uuid,
                       CASE WHEN e.type = 'reply_cancelled.v1' THEN 'cancelled' ELSE
                            CASE coalesce(e.data->'reply'->>'stop_reason', 'end_turn')
                                 WHEN 'end_turn' THEN NULL
                                 WHEN 'stop_sequence' THEN NULL
                                 WHEN 'max_tokens' THEN 'reply_too_long'
                                 WHEN 'model_context_window_exceeded' THEN 'conversation_too_long'
                                 ELSE 'reply_unfinished'
                            END
                       END) s (message_id, code)
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('conversation_started.v1', 'message_posted.v1', 'reply_completed.v1',
                  'reply_cancelled.v1')
   AND s.message_id IS NOT NULL;
