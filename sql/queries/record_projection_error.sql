SELECT record_projection_error_v1($1, $2, $3, $4)
