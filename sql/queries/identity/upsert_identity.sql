INSERT INTO identities (account_id, subject, user_id)
SELECT u.account_id, $2, u.user_id FROM users u WHERE u.account_id = $1 AND u.user_id = $3
    ON CONFLICT (account_id, subject) DO UPDATE SET user_id = excluded.user_id
RETURNING user_id
