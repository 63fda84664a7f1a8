SELECT record_tree_head_v2($1, $2, $3, $4, $5)
