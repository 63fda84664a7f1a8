SELECT create_analyst_v1($1, $2, $3, $4)
