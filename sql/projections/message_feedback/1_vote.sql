-- Of several votes in the range the last one counts, unless it was withdrawn.
DELETE FROM message_feedback f
 USING events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')
   AND f.account_id = e.account_id AND f.conversation_id = e.conversation_id
   AND f.user_id = (e.data->>'user_id')::bigint AND f.message_id = (e.data->>'message_id')::uuid;
