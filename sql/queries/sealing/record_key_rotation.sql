SELECT record_key_rotation_v1($1, $2, $3, $4)
