-- The next roster does not restore an erased name.
INSERT INTO users AS u (account_id, user_id, name) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, user_id) DO UPDATE
   SET name = CASE u.name WHEN '[erased]' THEN u.name ELSE excluded.name END
