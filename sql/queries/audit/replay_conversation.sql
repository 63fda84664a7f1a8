SELECT replay_conversation_v1($1, $2, $3)
