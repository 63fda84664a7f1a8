SELECT t.level, t.index, t.hashes
  FROM unnest($2::int[], $3::bigint[]) AS wanted (level, index)
  JOIN tree_tiles t ON t.account_id = $1 AND t.level = wanted.level AND t.index = wanted.index
