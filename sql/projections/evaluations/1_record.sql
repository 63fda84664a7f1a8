INSERT INTO evaluations (account_id, conversation_id, position, evaluation_id,
                         experience_version, evaluation, created_at)
SELECT e.account_id, e.conversation_id, e.position, (e.data->>'turn_id')::uuid,
       (e.data->>'experience_version')::bigint, c.content, e.recorded_at
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'evaluation_recorded.v1';
