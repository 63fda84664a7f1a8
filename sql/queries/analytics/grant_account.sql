INSERT INTO analyst_accounts (role_name, account_id) VALUES ($1, $2)
    ON CONFLICT DO NOTHING
RETURNING account_id
