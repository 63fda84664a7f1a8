CREATE TABLE request_counts (
    account_id bigint NOT NULL,
    user_id    bigint NOT NULL,
    day        date NOT NULL,
    kind       text NOT NULL,
    requests   bigint NOT NULL,
    PRIMARY KEY (account_id, user_id, day, kind)
) WITH (fillfactor = 70);
COMMENT ON COLUMN request_counts.user_id IS 'Who asked.';
COMMENT ON COLUMN request_counts.day IS 'In UTC.';
COMMENT ON COLUMN request_counts.kind IS 'create, message, evaluation or feedback.';
