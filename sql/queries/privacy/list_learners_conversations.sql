-- All conversations of learner $2, with what is stored of each.
SELECT v.conversation_id, v.course_id, v.experience_id,
       (SELECT x.title FROM read.experiences x
         WHERE x.account_id = $1 AND x.experience_id = v.experience_id) AS experience_title,
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
                CROSS JOIN LATERAL (
                      SELECT FROM event_content c
                       WHERE c.account_id = $1 AND c.position = e.position
                      OFFSET 0) text
                WHERE e.account_id = $1 AND e.conversation_id = v.conversation_id
                  AND e.position > coalesce(v.text_removed_upto, 0)) AS text_kept
  FROM (SELECT r.* FROM read.conversations r
         WHERE r.account_id = $1 AND r.user_id = $2
        OFFSET 0) v
 CROSS JOIN LATERAL (
       SELECT count(*) FILTER (WHERE m.role = 'User') AS by_learner,
              count(*) FILTER (WHERE m.role = 'Assistant') AS by_model
         FROM read.conversation_messages m
        WHERE m.account_id = $1 AND m.conversation_id = v.conversation_id
          AND m.ordinal = 1) said
 ORDER BY v.conversation_id
