-- The checks of get_access.sql (its $1 to $7) and the parts of the answer, in one row. The messages
-- are put together as text: that is twice as fast as building JSON values. $8: ids as strings.
SELECT t.token_id, w.real_user_id, w.user_id, t.scopes, t.admin,
       coalesce(t.revoked_at IS NOT NULL OR t.expires_at <= now(), false) AS stale,
       c.course_id IS NOT NULL AS course_exists, c.course_id, m.role,
       x.experience_id, x.workflow_state AS experience_state, x.version AS experience_version,
       v.user_id AS conversation_user_id, v.workflow_state AS conversation_state,
       v.conversation_id, v.progress, said.messages,
       greatest(v.shown_revision, said.revision) AS revision
  FROM (VALUES (1)) one
  LEFT JOIN tokens t ON t.token_hash = $2 AND t.account_id = $1
  LEFT JOIN identities i ON i.account_id = $1 AND i.subject = $4
  LEFT JOIN users o ON o.account_id = $1 AND o.user_id = $5
 CROSS JOIN LATERAL (
       SELECT coalesce(t.user_id, $3, i.user_id) AS real_user_id,
              CASE WHEN $5 IS NULL THEN coalesce(t.user_id, $3, i.user_id) ELSE o.user_id END
                  AS user_id) w
  LEFT JOIN courses c ON c.account_id = $1 AND c.course_id = $6
  LEFT JOIN enrollments m ON m.account_id = $1 AND m.course_id = $6
       AND m.user_id = w.user_id AND m.status = 'active'
  LEFT JOIN read.experiences x ON x.account_id = $1 AND x.experience_id = $7 AND x.course_id = $6
  LEFT JOIN read.active_conversations a ON a.account_id = $1 AND a.experience_id = $7
       AND a.user_id = w.user_id
  LEFT JOIN read.conversations v ON v.account_id = $1 AND v.conversation_id = a.conversation_id
  LEFT JOIN LATERAL (
       SELECT jsonb_object_agg(f.message_id, json_build_object(
                  'id', f.feedback_id, 'vote', f.vote,
                  'user_id', CASE WHEN $8 THEN to_json(f.user_id::text)
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
