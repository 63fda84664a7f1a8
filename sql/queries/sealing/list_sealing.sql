-- $1: an account, or null for all accounts.
SELECT h.account_id, h.position AS head, coalesce(t.size, 0) AS sealed, t.root, t.sealed_at
  FROM log_heads h
  LEFT JOIN LATERAL (SELECT s.size, s.root, s.sealed_at
                       FROM tree_heads s
                      WHERE s.account_id = h.account_id
                      ORDER BY s.size DESC
                      LIMIT 1) t ON true
 WHERE $1::bigint IS NULL OR h.account_id = $1
 ORDER BY h.account_id
