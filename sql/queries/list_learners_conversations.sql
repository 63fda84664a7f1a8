-- All conversations of a learner ($2): what is kept of each.
SELECT v.conversation_id, v.course_id, v.experience_id, x.title AS experience_title,
       v.workflow_state, v.all_objectives_met, v.created_at, v.completed_at, v.text_removed_at,
       said.by_learner, said.by_model,
       ARRAY(SELECT j.created_at FROM read.evaluations j
              WHERE j.account_id = $1 AND j.conversation_id = v.conversation_id
              ORDER BY j.position) AS evaluated_at,
       coalesce((SELECT json_agg(json_build_object(
                            'vote', f.vote, 'voter_id', f.user_id, 'words', f.feedback_message,
                            'voted_at', f.created_at) ORDER BY f.position)
                   FROM read.message_feedback f
                  WHERE f.account_id = $1 AND f.conversation_id = v.conversation_id),
                '[]')::text AS votes,
       EXISTS (SELECT FROM events e
                 JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
                WHERE e.account_id = $1 AND e.conversation_id = v.conversation_id
                  AND e.position > coalesce(v.text_removed_upto, 0)) AS text_kept
  FROM read.conversations v
  LEFT JOIN read.experiences x ON x.account_id = $1 AND x.experience_id = v.experience_id
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE m.role = 'User') AS by_learner,
              count(*) FILTER (WHERE m.role = 'Assistant') AS by_model
         FROM read.conversation_messages m
        WHERE m.account_id = $1 AND m.conversation_id = v.conversation_id
          AND m.ordinal = 1) said
 WHERE v.account_id = $1 AND v.user_id = $2
 ORDER BY v.conversation_id
