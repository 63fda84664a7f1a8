-- Of all checkpoints, those of replaced keys included.
SELECT size FROM tree_heads WHERE account_id = $1
UNION
SELECT size FROM key_rotations WHERE account_id = $1
ORDER BY size
