CREATE TABLE feedback_facts (
    account_id      bigint NOT NULL,
    message_id      uuid NOT NULL,
    voter_id        bigint NOT NULL,
    conversation_id bigint NOT NULL,
    course_id       bigint NOT NULL,
    experience_id   bigint NOT NULL,
    user_id         bigint NOT NULL,
    by_learner      boolean GENERATED ALWAYS AS (voter_id = user_id) STORED,
    feedback_id     uuid NOT NULL,
    vote            text NOT NULL,
    first_given_at  timestamptz NOT NULL,
    given_at        timestamptz NOT NULL,
    replaced        boolean NOT NULL,
    withdrawn_at    timestamptz,
    position        bigint NOT NULL,
    PRIMARY KEY (account_id, message_id, voter_id)
) WITH (fillfactor = 80);
CREATE INDEX ON feedback_facts (account_id, course_id, experience_id)
 WHERE course_id IS NOT NULL;
COMMENT ON TABLE feedback_facts IS 'One row for each user who voted on a message of the model, and message. Rows stay when the vote is withdrawn. No words.';
COMMENT ON COLUMN feedback_facts.account_id IS 'The institution.';
COMMENT ON COLUMN feedback_facts.message_id IS 'The model''s message.';
COMMENT ON COLUMN feedback_facts.voter_id IS 'The user who voted.';
COMMENT ON COLUMN feedback_facts.conversation_id IS 'The conversation.';
COMMENT ON COLUMN feedback_facts.course_id IS 'The course.';
COMMENT ON COLUMN feedback_facts.experience_id IS 'The AI experience.';
COMMENT ON COLUMN feedback_facts.user_id IS 'The learner whose conversation it is.';
COMMENT ON COLUMN feedback_facts.by_learner IS 'Whether that learner voted, and not, say, a teacher.';
COMMENT ON COLUMN feedback_facts.feedback_id IS 'The last vote''s id.';
COMMENT ON COLUMN feedback_facts.vote IS 'The last vote: liked or disliked. Where withdrawn_at is set, it does not stand.';
COMMENT ON COLUMN feedback_facts.first_given_at IS 'When they first voted on the message.';
COMMENT ON COLUMN feedback_facts.given_at IS 'When they gave the last vote.';
COMMENT ON COLUMN feedback_facts.replaced IS 'Whether they voted more than once, in place of the earlier vote or after they had withdrawn it.';
COMMENT ON COLUMN feedback_facts.withdrawn_at IS 'When the last vote was taken back; null where it stands.';
COMMENT ON COLUMN feedback_facts.position IS 'Position in the log of the last event that changed the row.';
