CREATE TABLE message_feedback (
    account_id       bigint NOT NULL,
    conversation_id  bigint NOT NULL,
    user_id          bigint NOT NULL,
    message_id       uuid NOT NULL,
    position         bigint NOT NULL,
    feedback_id      uuid NOT NULL,
    vote             text NOT NULL,
    feedback_message text,
    created_at       timestamptz NOT NULL,
    PRIMARY KEY (account_id, conversation_id, user_id, message_id)
);
-- Else ANALYZE would keep words in the catalog, where no erasure reaches them.
ALTER TABLE message_feedback ALTER COLUMN feedback_message SET STATISTICS 0;
COMMENT ON COLUMN message_feedback.user_id IS 'Who voted.';
COMMENT ON COLUMN message_feedback.feedback_message IS 'Null where nothing was said, or it was erased.';
