INSERT INTO conversation_stages (account_id, conversation_id, course_id, experience_id, user_id,
                                 objectives, opened, opened_at)
SELECT e.account_id, e.conversation_id, (e.data->>'course_id')::bigint,
       (e.data->>'experience_id')::bigint, (e.data->>'user_id')::bigint,
       jsonb_array_length(e.data->'objectives'), e.position, e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_started.v1';
