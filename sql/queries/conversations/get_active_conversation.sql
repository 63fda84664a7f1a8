-- In one row, of account $1: the active conversation of token $2's bearer, or of user $3, with
-- experience $5 of course $4, and what the access checks need, except for values that only refusals
-- need. The messages are composed as text, which is twice as fast as building JSON values.
SELECT w.token_id, w.real_user_id, w.user_id, w.scopes, w.stale,
       CASE WHEN w.role IS NOT NULL THEN $4 END AS course_id, w.role,
       w.experience_id, w.experience_state, w.experience_version,
       v.user_id AS conversation_user_id, v.workflow_state AS conversation_state,
       v.conversation_id, v.progress, said.messages, votes.of_message IS NOT NULL AS voted,
       greatest(v.shown_revision, said.revision) AS revision
  FROM get_access_v1($1, $2, $3, NULL, NULL, $4, $5) w
  LEFT JOIN LATERAL (
       SELECT r.conversation_id FROM read.active_conversations r
        WHERE r.account_id = $1 AND r.experience_id = $5 AND r.user_id = w.user_id
       OFFSET 0) a ON true
  LEFT JOIN LATERAL (
       SELECT r.* FROM read.conversations r
        WHERE r.account_id = $1 AND r.conversation_id = a.conversation_id
       OFFSET 0) v ON true
  LEFT JOIN LATERAL (
       SELECT jsonb_object_agg(f.message_id, json_build_object(
                  'id', f.feedback_id, 'vote', f.vote,
                  'user_id', f.user_id, 'feedback_message', f.feedback_message,
                  'created_at', to_char(f.created_at AT TIME ZONE 'UTC',
                                        'YYYY-MM-DD"T"HH24:MI:SS"Z"'))::text) AS of_message
         FROM read.message_feedback f
        WHERE f.account_id = $1 AND f.conversation_id = v.conversation_id
          AND f.user_id = w.user_id) votes ON true
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
              max(s.revision) AS revision
         FROM (SELECT n.message_id, n.role, n.text, n.created_at, n.revision, n.state,
                       n.code, n.retryable, n.turn_id
                 FROM read.conversation_messages n
                WHERE n.account_id = $1 AND n.conversation_id = v.conversation_id
                ORDER BY n.position, n.ordinal) s) said ON true
