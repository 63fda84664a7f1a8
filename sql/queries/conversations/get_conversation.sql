-- One conversation with its messages, each with the votes of one user ($3) on it.
SELECT v.conversation_id, v.user_id, u.name AS user_name, v.workflow_state,
       v.all_objectives_met, v.created_at, v.progress,
       greatest(v.created_at, v.completed_at, said.last_at) AS updated_at,
       greatest(v.shown_revision, said.revision) AS revision, said.messages
  FROM read.conversations v
  LEFT JOIN LATERAL (
       SELECT r.name FROM users r
        WHERE r.account_id = $1 AND r.user_id = v.user_id
       OFFSET 0) u ON true
  LEFT JOIN LATERAL (
       SELECT jsonb_object_agg(f.message_id, json_build_object(
                  'feedback_id', f.feedback_id, 'vote', f.vote,
                  'feedback_message', f.feedback_message,
                  'created_at', f.created_at)) AS of_message
         FROM read.message_feedback f
        WHERE f.account_id = $1 AND f.conversation_id = v.conversation_id
          AND f.user_id = $3) votes ON true
  LEFT JOIN LATERAL (
       SELECT json_agg(json_build_object(
                  'id', n.message_id, 'role', n.role, 'text', n.text,
                  'created_at', n.created_at, 'feedback_id', f.vote->'feedback_id',
                  'vote', f.vote->'vote', 'feedback_message', f.vote->'feedback_message',
                  'voted_at', f.vote->'created_at')
                  ORDER BY n.position, n.ordinal)::text AS messages,
              max(n.revision) AS revision, max(n.created_at) AS last_at
         FROM read.conversation_messages n
        CROSS JOIN LATERAL (SELECT votes.of_message->(n.message_id::text) AS vote) f
        WHERE n.account_id = $1 AND n.conversation_id = v.conversation_id) said ON true
 WHERE v.account_id = $1 AND v.conversation_id = $2
