UPDATE tokens SET revoked_at = clock_timestamp()
 WHERE account_id = $1 AND token_id = $2 AND revoked_at IS NULL
RETURNING true
