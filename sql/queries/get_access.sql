-- All that the checks of a request need, in one row; none for an unknown token.
SELECT t.token_id, t.account_id, t.user_id, t.scopes,
       t.revoked_at IS NOT NULL OR coalesce(t.expires_at <= now(), false) AS stale,
       c.course_id IS NOT NULL AS course_exists, c.course_id, m.role,
       x.experience_id, x.workflow_state AS experience_state, x.version AS experience_version,
       v.user_id AS conversation_user_id, v.workflow_state AS conversation_state,
       q.requests AS used
  FROM tokens t
  LEFT JOIN courses c ON c.account_id = t.account_id AND c.course_id = $2
  LEFT JOIN enrollments m ON m.account_id = t.account_id AND m.course_id = $2
       AND m.user_id = t.user_id AND m.status = 'active'
  LEFT JOIN read.experiences x ON x.account_id = t.account_id AND x.experience_id = $3
       AND x.course_id = $2
  LEFT JOIN read.conversations v ON v.account_id = t.account_id AND v.conversation_id = $4
       AND v.experience_id = $3
  LEFT JOIN read.request_counts q ON q.account_id = t.account_id AND q.user_id = t.user_id
       AND q.day = (now() AT TIME ZONE 'UTC')::date AND q.kind = $5
 WHERE t.token_hash = $1
