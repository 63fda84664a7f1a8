-- The checkpoint of a size, or the last one if the size is null.
SELECT size, root, note
  FROM tree_heads
 WHERE account_id = $1 AND ($2::bigint IS NULL OR size = $2)
 ORDER BY size DESC
 LIMIT 1
