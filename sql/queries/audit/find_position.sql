SELECT find_position_v1($1, $2, $3)
