CREATE TABLE active_conversations (
    account_id      bigint NOT NULL,
    experience_id   bigint NOT NULL,
    user_id         bigint NOT NULL,
    conversation_id bigint NOT NULL,
    PRIMARY KEY (account_id, experience_id, user_id)
) WITH (fillfactor = 85);
COMMENT ON TABLE active_conversations IS 'Its key refuses a second active conversation even to a program with a bug.';
CREATE UNIQUE INDEX ON active_conversations (account_id, conversation_id);
