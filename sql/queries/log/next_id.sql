SELECT next_id_v1($1, $2)
