SELECT leaf_hashes_v1($1, $2, $3)
