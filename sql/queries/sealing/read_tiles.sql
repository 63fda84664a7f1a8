SELECT wanted.level, wanted.index, t.hashes
  FROM unnest($2::int[], $3::bigint[]) AS wanted (level, index)
 CROSS JOIN LATERAL (
       SELECT r.hashes FROM tree_tiles r
        WHERE r.account_id = $1 AND r.level = wanted.level AND r.index = wanted.index
       OFFSET 0) t
