-- A course's experiences after one of them ($5), those that may be seen; for a learner with how
-- far they have come. $4: a state to which the list is limited, or null. $7: how many to skip.
SELECT x.experience_id, x.course_id, x.title, x.description, x.facts, x.learning_objective,
       x.pedagogical_guidance, x.workflow_state,
       CASE WHEN EXISTS (SELECT FROM read.active_conversations a
                          WHERE a.account_id = $1 AND a.experience_id = x.experience_id
                            AND a.user_id = $3) THEN 'in_progress'
            WHEN EXISTS (SELECT FROM read.conversations v
                          WHERE v.account_id = $1 AND v.experience_id = x.experience_id
                            AND v.user_id = $3) THEN 'submitted'
            ELSE 'not_started' END AS submission_status
  FROM read.experiences x
 WHERE x.account_id = $1 AND x.course_id = $2 AND x.workflow_state = ANY ($4::text[])
   AND x.experience_id > $5
 ORDER BY x.experience_id
 LIMIT $6 OFFSET $7
