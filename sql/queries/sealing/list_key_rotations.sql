SELECT size, root, note FROM key_rotations WHERE account_id = $1 ORDER BY size, recorded_at
