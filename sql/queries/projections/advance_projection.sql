SELECT reached, head FROM advance_projection_v1($1, $2, $3, $4)
