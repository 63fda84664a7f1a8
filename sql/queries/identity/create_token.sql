INSERT INTO tokens (account_id, user_id, token_hash, scopes, expires_at, admin)
SELECT u.account_id, u.user_id, $3, $4, now() + make_interval(days => $5::int), $6
  FROM users u
 WHERE u.account_id = $1 AND u.user_id = $2
RETURNING token_id
