SELECT position FROM log_heads WHERE account_id = $1
