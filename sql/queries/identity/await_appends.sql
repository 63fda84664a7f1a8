-- Waits for the appends that are being committed; those to come see what was committed before this.
SELECT FROM log_heads WHERE account_id = $1 FOR UPDATE
