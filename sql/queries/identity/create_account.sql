WITH made AS (
    INSERT INTO accounts (account_id, name)
    SELECT coalesce(max(account_id), 0) + 1, $1 FROM accounts
    RETURNING account_id
)
INSERT INTO log_heads (account_id) SELECT account_id FROM made
RETURNING account_id
