SELECT close_analyst_v1($1)
