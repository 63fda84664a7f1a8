-- A course's visible experiences after experience $5; for a learner with their progress. $4: a
-- state to filter by, or null. $7: how many to skip.
SELECT x.experience_id, x.course_id, x.title, x.description, x.facts, x.learning_objective,
       x.pedagogical_guidance, x.workflow_state,
       CASE WHEN a.there THEN 'in_progress' WHEN v.there THEN 'submitted'
            ELSE 'not_started' END AS submission_status
  FROM read.experiences x
  LEFT JOIN LATERAL (
       SELECT true AS there FROM read.active_conversations r
        WHERE r.account_id = $1 AND r.experience_id = x.experience_id AND r.user_id = $3
       OFFSET 0) a ON true
  LEFT JOIN LATERAL (
       SELECT true AS there FROM read.conversations r
        WHERE r.account_id = $1 AND r.experience_id = x.experience_id AND r.user_id = $3
        LIMIT 1) v ON true
 WHERE x.account_id = $1 AND x.course_id = $2 AND x.workflow_state = ANY ($4::text[])
   AND x.experience_id > $5
 ORDER BY x.experience_id
 LIMIT $6 OFFSET $7
