CREATE TABLE active_conversations (
    account_id      bigint NOT NULL,
    experience_id   bigint NOT NULL,
    user_id         bigint NOT NULL,
    conversation_id bigint NOT NULL,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE active_conversations IS 'A unique index refuses a second active conversation even to a program with a bug.';
CREATE UNIQUE INDEX ON active_conversations (account_id, user_id, experience_id)
 WHERE user_id IS NOT NULL;
