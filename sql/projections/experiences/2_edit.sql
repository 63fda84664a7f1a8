UPDATE experiences x
   SET version = l.revision, title = l.data->>'title', description = l.data->>'description',
       facts = l.data->>'facts', learning_objective = l.data->>'learning_objective',
       pedagogical_guidance = l.data->>'pedagogical_guidance',
       workflow_state = l.data->>'workflow_state', updated_at = l.recorded_at
  FROM (SELECT DISTINCT ON (e.stream) e.stream, e.revision, e.data, e.recorded_at
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'experience_edited.v1'
         ORDER BY e.stream, e.revision DESC) l
 WHERE x.account_id = apply.account AND x.experience_id = (l.data->>'experience_id')::bigint;
