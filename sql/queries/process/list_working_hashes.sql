SELECT token_hash FROM tokens
 WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
