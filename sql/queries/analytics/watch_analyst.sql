SELECT watch_analyst_v1($1)
