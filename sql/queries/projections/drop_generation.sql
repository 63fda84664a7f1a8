SELECT drop_generation_v1($1, $2)
