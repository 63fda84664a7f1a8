-- The last checkpoint of each day (UTC) before the one of size $2.
SELECT DISTINCT ON (date_trunc('day', t.sealed_at, 'UTC')) t.size, t.note
  FROM tree_heads t
 WHERE t.account_id = $1 AND t.size < $2
 ORDER BY date_trunc('day', t.sealed_at, 'UTC'), t.size DESC
