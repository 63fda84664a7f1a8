CREATE TABLE evaluations (
    account_id         bigint NOT NULL,
    conversation_id    bigint NOT NULL,
    position           bigint NOT NULL,
    evaluation_id      uuid NOT NULL,
    experience_version bigint NOT NULL,
    evaluation         text,
    created_at         timestamptz NOT NULL,
    PRIMARY KEY (account_id, conversation_id, position)
);
COMMENT ON COLUMN evaluations.experience_version IS 'The experience as it was when the evaluation was asked for.';
COMMENT ON COLUMN evaluations.evaluation IS 'JSON as clients read it; null where it was erased.';
