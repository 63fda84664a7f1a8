SELECT relation, standing, added, removed, only_old, only_new, changed, samples
  FROM compare_generations_v1($1, $2, $3, $4)
