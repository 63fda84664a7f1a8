-- A course's students after student $4, each with their latest conversation with an experience. $6:
-- how many to skip.
SELECT m.user_id, u.name AS user_name, v.conversation_id, v.workflow_state,
       v.all_objectives_met, v.progress, v.created_at,
       greatest(v.created_at, v.completed_at, said.last_at) AS updated_at
  FROM enrollments m
 CROSS JOIN LATERAL (
       SELECT r.name FROM users r
        WHERE r.account_id = $1 AND r.user_id = m.user_id
       OFFSET 0) u
  LEFT JOIN LATERAL (
       SELECT c.conversation_id, c.workflow_state, c.all_objectives_met, c.progress,
              c.created_at, c.completed_at
         FROM read.conversations c
        WHERE c.account_id = $1 AND c.experience_id = $3 AND c.user_id = m.user_id
        ORDER BY c.conversation_id DESC
        LIMIT 1) v ON true
  LEFT JOIN LATERAL (
       SELECT n.created_at AS last_at
         FROM read.conversation_messages n
        WHERE n.account_id = $1 AND n.conversation_id = v.conversation_id
        ORDER BY n.position DESC, n.ordinal DESC
        LIMIT 1) said ON true
 WHERE m.account_id = $1 AND m.course_id = $2 AND m.role = 'learner' AND m.status = 'active'
   AND m.user_id > $4
 ORDER BY m.user_id
 LIMIT $5 OFFSET $6
