DELETE FROM analyst_accounts WHERE role_name = $1 AND account_id = $2 RETURNING account_id
