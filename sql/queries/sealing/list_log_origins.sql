SELECT origin FROM log_origins WHERE account_id = $1 ORDER BY since_size
