SELECT store_tiles_v1($1, $2, $3, $4)
