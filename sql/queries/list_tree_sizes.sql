SELECT size FROM tree_heads WHERE account_id = $1 ORDER BY size
