SELECT EXISTS (SELECT FROM read.conversation_messages m
                WHERE m.account_id = $1 AND m.conversation_id = $2 AND m.text IS NULL)
