INSERT INTO experiences AS x (account_id, experience_id, course_id, version, title, description,
                              facts, learning_objective, pedagogical_guidance, workflow_state,
                              created_at, updated_at)
SELECT k.account_id, k.experience_id, k.course_id, l.revision, l.data->>'title',
       l.data->>'description', l.data->>'facts', l.data->>'learning_objective',
       l.data->>'pedagogical_guidance', l.data->>'workflow_state', k.created_at, l.recorded_at
  FROM (SELECT DISTINCT ON (e.stream) e.revision, e.data, e.recorded_at
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'experience_edited.v1'
         ORDER BY e.stream, e.revision DESC) l
 CROSS JOIN LATERAL (
       SELECT r.account_id, r.experience_id, r.course_id, r.created_at FROM experiences r
        WHERE r.account_id = apply.account
          AND r.experience_id = (l.data->>'experience_id')::bigint
       OFFSET 0) k
    ON CONFLICT (account_id, experience_id) DO UPDATE SET
       version = excluded.version, title = excluded.title, description = excluded.description,
       facts = excluded.facts, learning_objective = excluded.learning_objective,
       pedagogical_guidance = excluded.pedagogical_guidance,
       workflow_state = excluded.workflow_state, updated_at = excluded.updated_at;
