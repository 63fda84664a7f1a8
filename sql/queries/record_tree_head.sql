SELECT record_tree_head_v1($1, $2, $3, $4, $5)
