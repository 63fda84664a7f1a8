SELECT pass_ranges_v1($1, $2, $3, $4)
