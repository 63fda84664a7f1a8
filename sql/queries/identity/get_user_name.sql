SELECT name FROM users WHERE account_id = $1 AND user_id = $2
