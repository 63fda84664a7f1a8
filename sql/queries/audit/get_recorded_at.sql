SELECT recorded_at FROM events WHERE account_id = $1 AND position = $2
