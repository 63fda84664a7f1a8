SELECT outcome, texts, conversations, held FROM expire_texts_v1($1, $2, $3)
