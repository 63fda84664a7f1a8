SELECT end_analysts_v1($1)
