-- Waits for appends under way; later appends see what was committed before.
SELECT FROM log_heads WHERE account_id = $1 FOR UPDATE
