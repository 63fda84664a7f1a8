INSERT INTO turn_facts (account_id, turn_id, conversation_id, course_id, experience_id, user_id,
                        kind, requested_at, outcome, model)
SELECT e.account_id, (e.data->>'turn_id')::uuid, e.conversation_id,
       (e.data->>'course_id')::bigint, (e.data->>'experience_id')::bigint,
       (e.data->>'user_id')::bigint,
       CASE e.type WHEN 'opening_requested.v1' THEN 'opening'
                   WHEN 'message_posted.v1' THEN 'message'
                   ELSE 'evaluation' END,
       e.recorded_at, 'pending', e.data->>'model'
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('opening_requested.v1', 'message_posted.v1', 'evaluation_requested.v1');
