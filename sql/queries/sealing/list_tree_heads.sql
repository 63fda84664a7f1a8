SELECT size, root, note, sealed_at
  FROM tree_heads
 WHERE account_id = $1 AND size > $2
 ORDER BY size
 LIMIT $3
