SELECT t.token_id, t.user_id, u.name, t.scopes, t.created_at, t.expires_at, t.admin,
       CASE WHEN t.revoked_at IS NOT NULL THEN 'revoked'
            WHEN t.expires_at <= now() THEN 'expired'
            ELSE 'active' END AS state
  FROM tokens t
  JOIN users u ON u.account_id = t.account_id AND u.user_id = t.user_id
 WHERE t.account_id = $1
 ORDER BY t.token_id
