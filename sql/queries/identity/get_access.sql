-- All that the checks of a request need, in one row. Of $1, an account: who shows the token $2,
-- or is called $4 by its identity provider, or is user $3, and acts as user $5 where that is given.
-- CASE, because row-level security lets no condition with COALESCE look into an index.
SELECT t.token_id, w.real_user_id, w.user_id, t.scopes, t.admin,
       coalesce(t.revoked_at IS NOT NULL OR t.expires_at <= now(), false) AS stale,
       c.course_id IS NOT NULL AS course_exists, c.course_id, m.role,
       x.experience_id, x.workflow_state AS experience_state, x.version AS experience_version,
       v.user_id AS conversation_user_id, v.workflow_state AS conversation_state, h.position
  FROM (VALUES (1)) one
  LEFT JOIN tokens t ON t.token_hash = $2 AND t.account_id = $1
  LEFT JOIN users o ON o.account_id = $1 AND o.user_id = $5
 CROSS JOIN (
       SELECT (SELECT i.user_id FROM identities i
                WHERE i.account_id = $1 AND i.subject = $4) AS user_id) named
 CROSS JOIN LATERAL (
       SELECT CASE WHEN t.user_id IS NOT NULL THEN t.user_id
                   WHEN $3::bigint IS NOT NULL THEN $3 ELSE named.user_id END AS real_user_id,
              CASE WHEN $5::bigint IS NOT NULL THEN o.user_id
                   WHEN t.user_id IS NOT NULL THEN t.user_id
                   WHEN $3 IS NOT NULL THEN $3 ELSE named.user_id END AS user_id) w
  LEFT JOIN courses c ON c.account_id = $1 AND c.course_id = $6
  LEFT JOIN LATERAL (
       SELECT r.role FROM enrollments r
        WHERE r.account_id = $1 AND r.course_id = $6 AND r.user_id = w.user_id
          AND r.status = 'active'
       OFFSET 0) m ON true
  LEFT JOIN read.experiences x ON x.account_id = $1 AND x.experience_id = $7 AND x.course_id = $6
  LEFT JOIN LATERAL (
       SELECT r.user_id, r.workflow_state, r.experience_id FROM read.conversations r
        WHERE r.account_id = $1 AND r.conversation_id = $8
       OFFSET 0) v ON v.experience_id = $7
  LEFT JOIN log_heads h ON h.account_id = $1
