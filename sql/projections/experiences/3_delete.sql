INSERT INTO experiences AS x (account_id, experience_id, course_id, version, title, description,
                              facts, learning_objective, pedagogical_guidance, workflow_state,
                              created_at, updated_at)
SELECT DISTINCT ON (k.experience_id)
       k.account_id, k.experience_id, k.course_id, k.version, k.title, k.description, k.facts,
       k.learning_objective, k.pedagogical_guidance, 'deleted', k.created_at, e.recorded_at
  FROM events e
 CROSS JOIN LATERAL (
       SELECT r.* FROM experiences r
        WHERE r.account_id = apply.account
          AND r.experience_id = (e.data->>'experience_id')::bigint
       OFFSET 0) k
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'experience_deleted.v1'
 ORDER BY k.experience_id, e.position DESC
    ON CONFLICT (account_id, experience_id) DO UPDATE SET
       workflow_state = excluded.workflow_state, updated_at = excluded.updated_at;
