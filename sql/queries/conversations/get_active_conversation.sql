-- Of account $1, what the bearer of the token $2, or else user $3, finds as active conversation, with
-- the checks of get_access.sql: in one row, without what only they need who are refused. The messages
-- are put together as text: that is twice as fast as building JSON values. $6: ids as strings.
SELECT t.token_id, t.user_id AS real_user_id, w.user_id, t.scopes,
       coalesce(t.revoked_at IS NOT NULL OR t.expires_at <= now(), false) AS stale,
       m.role IS NOT NULL AS course_exists, $4 AS course_id, m.role,
       x.experience_id, x.workflow_state AS experience_state, x.version AS experience_version,
       v.user_id AS conversation_user_id, v.workflow_state AS conversation_state,
       v.conversation_id, v.progress, said.messages,
       greatest(v.shown_revision, said.revision) AS revision
  FROM (VALUES (1)) one
  LEFT JOIN tokens t ON t.token_hash = $2 AND t.account_id = $1
 CROSS JOIN LATERAL (SELECT CASE WHEN $3::bigint IS NULL THEN t.user_id ELSE $3 END AS user_id) w
  LEFT JOIN LATERAL (
       SELECT r.role FROM enrollments r
        WHERE r.account_id = $1 AND r.course_id = $4 AND r.user_id = w.user_id
          AND r.status = 'active'
       OFFSET 0) m ON true
  LEFT JOIN read.experiences x ON x.account_id = $1 AND x.experience_id = $5 AND x.course_id = $4
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
                  'user_id', CASE WHEN $6 THEN to_json(f.user_id::text)
                                  ELSE to_json(f.user_id) END,
                  'feedback_message', f.feedback_message,
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
                         || coalesce(votes.of_message->>s.message_id::text, '') || ']}', ',')
                  AS messages,
              max(s.revision) AS revision
         FROM (SELECT n.message_id, n.role, n.text, n.created_at, n.revision
                 FROM read.conversation_messages n
                WHERE n.account_id = $1 AND n.conversation_id = v.conversation_id
                ORDER BY n.position, n.ordinal) s) said ON true
