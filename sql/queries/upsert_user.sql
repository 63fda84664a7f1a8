INSERT INTO users (account_id, user_id, name) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, user_id) DO UPDATE SET name = excluded.name
