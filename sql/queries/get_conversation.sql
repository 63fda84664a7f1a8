-- One conversation with its messages, each with the votes of one user ($3) on it.
SELECT v.conversation_id, v.user_id, u.name AS user_name, v.workflow_state,
       v.all_objectives_met, v.created_at, v.progress,
       greatest(v.created_at, v.completed_at, said.last_at) AS updated_at,
       greatest(v.shown_revision, said.revision) AS revision, said.messages
  FROM read.conversations v
  LEFT JOIN users u ON u.account_id = v.account_id AND u.user_id = v.user_id
  LEFT JOIN LATERAL (
       SELECT json_agg(json_build_object(
                  'id', n.message_id, 'role', n.role, 'text', n.text,
                  'created_at', n.created_at, 'feedback_id', f.feedback_id, 'vote', f.vote,
                  'feedback_message', f.feedback_message, 'voted_at', f.created_at)
                  ORDER BY n.position, n.ordinal)::text AS messages,
              max(n.revision) AS revision, max(n.created_at) AS last_at
         FROM read.conversation_messages n
         LEFT JOIN read.message_feedback f
                ON f.account_id = v.account_id AND f.conversation_id = v.conversation_id
               AND f.user_id = $3 AND f.message_id = n.message_id
        WHERE n.account_id = v.account_id AND n.conversation_id = v.conversation_id) said ON true
 WHERE v.account_id = $1 AND v.conversation_id = $2
