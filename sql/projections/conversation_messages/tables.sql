CREATE TABLE conversation_messages (
    account_id      bigint NOT NULL,
    conversation_id bigint NOT NULL,
    position        bigint NOT NULL,
    ordinal         smallint NOT NULL,
    message_id      uuid NOT NULL,
    turn_id         uuid NOT NULL,
    role            text NOT NULL,
    text            text,
    created_at      timestamptz NOT NULL,
    revision        bigint NOT NULL,
    state           text,
    code            text,
    retryable       boolean,
    PRIMARY KEY (account_id, conversation_id, position, ordinal)
);
-- Else ANALYZE would keep words in the catalog, where no erasure reaches them.
ALTER TABLE conversation_messages ALTER COLUMN text SET STATISTICS 0;
COMMENT ON COLUMN conversation_messages.ordinal IS 'Place within the event: a start brings two messages.';
COMMENT ON COLUMN conversation_messages.text IS 'Null where the text was erased.';
COMMENT ON COLUMN conversation_messages.turn_id IS 'Of a learner''s message, the last turn that was to answer it.';
COMMENT ON COLUMN conversation_messages.state IS 'Of a learner''s message: unanswered or stopped. Of a reply: incomplete. Null where it is answered, complete or under way.';
COMMENT ON COLUMN conversation_messages.code IS 'Why it is in that state.';
COMMENT ON COLUMN conversation_messages.retryable IS 'Of a learner''s message without an answer: the model may answer if it is asked again.';
