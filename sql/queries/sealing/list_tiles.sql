-- Tiles in order, after a given one.
SELECT t.level, t.index, t.hashes
  FROM tree_tiles t
 WHERE t.account_id = $1 AND (t.level, t.index) > ($2::int, $3::bigint)
 ORDER BY t.level, t.index
 LIMIT $4
