-- One conversation with its messages, each with the votes of one user ($3) on it.
SELECT v.conversation_id, v.user_id, u.name AS user_name, v.workflow_state,
       v.all_objectives_met, v.created_at, v.progress,
       greatest(v.created_at, v.completed_at, said.last_at) AS updated_at,
       greatest(v.shown_revision, said.revision) AS revision, said.messages,
       votes.of_message IS NOT NULL AS voted
  FROM read.conversations v
  LEFT JOIN LATERAL (
       SELECT r.name FROM users r
        WHERE r.account_id = $1 AND r.user_id = v.user_id
       OFFSET 0) u ON true
  LEFT JOIN LATERAL (
       SELECT jsonb_object_agg(f.message_id, json_build_object(
                  'id', f.feedback_id, 'vote', f.vote,
                  'user_id', f.user_id, 'feedback_message', f.feedback_message,
                  'created_at', to_char(f.created_at AT TIME ZONE 'UTC',
                                        'YYYY-MM-DD"T"HH24:MI:SS"Z"'))::text) AS of_message
         FROM read.message_feedback f
        WHERE f.account_id = $1 AND f.conversation_id = v.conversation_id
          AND f.user_id = $3) votes ON true
  LEFT JOIN LATERAL (
       SELECT string_agg('{"id":"' || s.message_id || '","role":"' || s.role
                         || '","text":' || coalesce(to_json(s.text)::text, 'null')
                         || ',"created_at":"'
                         || to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                         || '","feedback":['
                         || coalesce(votes.of_message->>s.message_id::text, '') || ']'
                         || coalesce(CASE s.state WHEN 'incomplete' THEN ',"incomplete":true'
                                     ELSE ',"state":"' || s.state || '"' END
                                     || ',"code":' || to_json(s.code)::text, '')
                         || coalesce(',"retryable":' || s.retryable
                                     || ',"turn_id":"' || s.turn_id || '"', '')
                         || '}', ',')
                  AS messages,
              max(s.revision) AS revision, max(s.created_at) AS last_at
         FROM (SELECT n.message_id, n.role, n.text, n.created_at, n.revision, n.state,
                       n.code, n.retryable, n.turn_id
                 FROM read.conversation_messages n
                WHERE n.account_id = $1 AND n.conversation_id = v.conversation_id
                ORDER BY n.position, n.ordinal) s) said ON true
 WHERE v.account_id = $1 AND v.conversation_id = $2
