CREATE TABLE retention_rules (
    account_id bigint NOT NULL,
    course_id  bigint NOT NULL,
    days       bigint,
    set_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, course_id)
);
COMMENT ON COLUMN retention_rules.days IS 'After completion of a conversation; null: for ever.';
