SELECT record_projection_error_v2($1, $2, $3, $4)
