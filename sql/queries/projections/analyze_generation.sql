SELECT analyze_generation_v1($1, $2)
