SELECT relation, number, digest, strays FROM fingerprint_generation_v1($1, $2, $3, $4)
