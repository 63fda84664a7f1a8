CREATE TABLE conversations (
    account_id         bigint NOT NULL,
    conversation_id    bigint NOT NULL,
    course_id          bigint NOT NULL,
    experience_id      bigint NOT NULL,
    experience_version bigint NOT NULL,
    user_id            bigint NOT NULL,
    workflow_state     text NOT NULL,
    progress           json,
    shown_revision     bigint NOT NULL,
    all_objectives_met boolean NOT NULL DEFAULT false,
    created_at         timestamptz NOT NULL,
    completed_at       timestamptz,
    text_removed_at    timestamptz,
    text_removed_upto  bigint,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 85);
CREATE INDEX ON conversations (account_id, experience_id, user_id, conversation_id)
 WHERE experience_id IS NOT NULL;
CREATE INDEX ON conversations (account_id, user_id)
 WHERE user_id IS NOT NULL;
COMMENT ON COLUMN conversations.experience_version IS 'Revision of the experience that the conversation started with and keeps.';
COMMENT ON COLUMN conversations.progress IS 'As clients read it; null for an experience without objectives.';
COMMENT ON COLUMN conversations.shown_revision IS 'Revision of the last event, other than a message, that changed what clients see.';
COMMENT ON COLUMN conversations.all_objectives_met IS 'True once every objective was covered, and from then on.';
COMMENT ON COLUMN conversations.text_removed_at IS 'When its texts were last deleted, by an erasure or a retention rule.';
COMMENT ON COLUMN conversations.text_removed_upto IS 'Position of the event that recorded it: texts after it are kept.';
