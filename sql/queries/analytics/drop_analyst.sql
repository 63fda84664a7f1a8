SELECT drop_analyst_v1($1)
