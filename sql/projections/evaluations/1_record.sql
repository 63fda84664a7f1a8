INSERT INTO evaluations (account_id, conversation_id, position, evaluation_id,
                         experience_version, evaluation, created_at)
SELECT e.account_id, e.conversation_id, e.position, (e.data->>'turn_id')::uuid,
       (e.data->>'experience_version')::bigint,
       (SELECT c.content FROM event_content c
         WHERE c.account_id = apply.account AND c.position = e.position),
       e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'evaluation_recorded.v1';
