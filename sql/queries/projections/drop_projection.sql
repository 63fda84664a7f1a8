SELECT drop_projection_v1($1)
