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
-- Else ANALYZE would keep words in the catalog, where no erasure reaches them.
ALTER TABLE evaluations ALTER COLUMN evaluation SET STATISTICS 0;
COMMENT ON COLUMN evaluations.experience_version IS 'The experience as it was when the evaluation was asked for.';
COMMENT ON COLUMN evaluations.evaluation IS 'JSON as clients read it; null where it was erased.';
