-- The checkpoints of the sizes $2.
SELECT t.size, t.note
  FROM tree_heads t
 WHERE t.account_id = $1 AND t.size = ANY ($2::bigint[])
 ORDER BY t.size
