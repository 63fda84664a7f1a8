SELECT outcome, holds, texts, conversations, names, identities, tokens
  FROM erase_learner_v2($1, $2, $3, $4, $5)
