INSERT INTO experiences (account_id, experience_id, course_id, version, title, description,
                         facts, learning_objective, pedagogical_guidance, workflow_state,
                         created_at, updated_at)
SELECT e.account_id, (e.data->>'experience_id')::bigint, (e.data->>'course_id')::bigint,
       e.revision, e.data->>'title', e.data->>'description', e.data->>'facts',
       e.data->>'learning_objective', e.data->>'pedagogical_guidance',
       e.data->>'workflow_state', e.recorded_at, e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'experience_created.v1';
