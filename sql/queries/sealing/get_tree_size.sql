-- $2: hashes of a full tile.
SELECT coalesce((SELECT t.index * $2 + octet_length(t.hashes) / 32
                   FROM tree_tiles t
                  WHERE t.account_id = $1 AND t.level = 0
                  ORDER BY t.index DESC
                  LIMIT 1), 0)::bigint
