-- The sizes of all checkpoints, including those by replaced keys.
SELECT size FROM tree_heads WHERE account_id = $1
UNION
SELECT size FROM key_rotations WHERE account_id = $1
ORDER BY size
