INSERT INTO objective_facts (account_id, conversation_id, objective, course_id, experience_id,
                             experience_version, user_id, started_at, position)
SELECT e.account_id, e.conversation_id, o.objective, (e.data->>'course_id')::bigint,
       (e.data->>'experience_id')::bigint, (e.data->>'experience_version')::bigint,
       (e.data->>'user_id')::bigint, e.recorded_at, e.position
  FROM events e,
       generate_series(1, jsonb_array_length(e.data->'objectives')) AS o (objective)
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_started.v1'
    ON CONFLICT DO NOTHING;
