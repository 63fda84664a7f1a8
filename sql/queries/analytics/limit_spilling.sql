SELECT limit_spilling_v1($1)
