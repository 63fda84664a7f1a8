CREATE TABLE conversation_facts (
    account_id                  bigint NOT NULL,
    conversation_id             bigint NOT NULL,
    course_id                   bigint NOT NULL,
    experience_id               bigint NOT NULL,
    experience_version          bigint NOT NULL,
    user_id                     bigint NOT NULL,
    started_at                  timestamptz NOT NULL,
    first_message_at            timestamptz,
    last_activity_at            timestamptz NOT NULL,
    duration_seconds            double precision GENERATED ALWAYS AS (
        extract(epoch FROM last_activity_at - started_at)::double precision
    ) STORED,
    completed_at                timestamptz,
    completion_reason           text,
    messages                    bigint NOT NULL DEFAULT 0,
    replies                     bigint NOT NULL DEFAULT 0,
    failed_turns                bigint NOT NULL DEFAULT 0,
    cancelled_turns             bigint NOT NULL DEFAULT 0,
    objectives                  bigint NOT NULL,
    objectives_covered          bigint NOT NULL DEFAULT 0,
    all_objectives_met_at       timestamptz,
    liked                       bigint NOT NULL DEFAULT 0,
    disliked                    bigint NOT NULL DEFAULT 0,
    evaluations                 bigint NOT NULL DEFAULT 0,
    input_tokens                bigint NOT NULL,
    output_tokens               bigint NOT NULL,
    cache_creation_input_tokens bigint NOT NULL,
    cache_read_input_tokens     bigint NOT NULL,
    cost_microusd               bigint NOT NULL,
    unpriced                    bigint NOT NULL,
    text_removed_at             timestamptz,
    position                    bigint NOT NULL,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 70);
CREATE INDEX ON conversation_facts (account_id, course_id, started_at)
 WHERE course_id IS NOT NULL;
CREATE TABLE standing_votes (
    account_id      bigint NOT NULL,
    conversation_id bigint NOT NULL,
    message_id      uuid NOT NULL,
    user_id         bigint NOT NULL,
    vote            text,
    PRIMARY KEY (account_id, conversation_id, message_id, user_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE standing_votes IS 'The last vote of each user on each message; null where it was withdrawn.';
COMMENT ON TABLE conversation_facts IS 'One row for each conversation, from its opening on. An opening that failed has none.';
COMMENT ON COLUMN conversation_facts.account_id IS 'The institution.';
COMMENT ON COLUMN conversation_facts.conversation_id IS 'The conversation.';
COMMENT ON COLUMN conversation_facts.course_id IS 'The course.';
COMMENT ON COLUMN conversation_facts.experience_id IS 'The AI experience.';
COMMENT ON COLUMN conversation_facts.experience_version IS 'Version of the experience that it started with and keeps, counted from 1.';
COMMENT ON COLUMN conversation_facts.user_id IS 'The learner.';
COMMENT ON COLUMN conversation_facts.started_at IS 'When the model had opened it.';
COMMENT ON COLUMN conversation_facts.first_message_at IS 'When the learner first said something; null where they have not.';
COMMENT ON COLUMN conversation_facts.last_activity_at IS 'When the learner last said something or a turn last ended; at first started_at.';
COMMENT ON COLUMN conversation_facts.duration_seconds IS 'Seconds from started_at to last_activity_at.';
COMMENT ON COLUMN conversation_facts.completed_at IS 'From when on it takes no more messages; null while it is active.';
COMMENT ON COLUMN conversation_facts.completion_reason IS 'superseded: the learner began another one. deleted: somebody ended it. Null while it is active.';
COMMENT ON COLUMN conversation_facts.messages IS 'What the learner said, with and without an answer: a number of messages.';
COMMENT ON COLUMN conversation_facts.replies IS 'Messages that were answered; the opening is not counted.';
COMMENT ON COLUMN conversation_facts.failed_turns IS 'Turns in which a message was not answered, since the model failed; asked again later or not.';
COMMENT ON COLUMN conversation_facts.cancelled_turns IS 'Turns in which a message was not answered, since somebody ended them; asked again later or not.';
COMMENT ON COLUMN conversation_facts.objectives IS 'How many objectives it has; 0 where the experience has none.';
COMMENT ON COLUMN conversation_facts.objectives_covered IS 'How many of these the learner has covered.';
COMMENT ON COLUMN conversation_facts.all_objectives_met_at IS 'When the last of them was covered; null before, and where there are none.';
COMMENT ON COLUMN conversation_facts.liked IS 'Votes "liked" that stand, of whomever; replaced and withdrawn ones are not counted.';
COMMENT ON COLUMN conversation_facts.disliked IS 'Votes "disliked" that stand, of whomever; replaced and withdrawn ones are not counted.';
COMMENT ON COLUMN conversation_facts.evaluations IS 'Evaluations of it that were completed.';
COMMENT ON COLUMN conversation_facts.input_tokens IS 'Tokens read at the full price for the opening, replies, judgements and evaluations, failed ones included; of each its last attempt. 0 where none were told.';
COMMENT ON COLUMN conversation_facts.output_tokens IS 'Tokens written for the same.';
COMMENT ON COLUMN conversation_facts.cache_creation_input_tokens IS 'Tokens read and put into the provider''s cache for the same.';
COMMENT ON COLUMN conversation_facts.cache_read_input_tokens IS 'Tokens read from the provider''s cache for the same.';
COMMENT ON COLUMN conversation_facts.cost_microusd IS 'Millionths of a US dollar for the same, with all attempts, as far as known: a lower bound where unpriced is not 0.';
COMMENT ON COLUMN conversation_facts.unpriced IS 'How many of the same have no known cost.';
COMMENT ON COLUMN conversation_facts.text_removed_at IS 'When its texts were last deleted, by an erasure or a retention rule; null where they never were.';
COMMENT ON COLUMN conversation_facts.position IS 'Position in the log of the last event that changed the row.';
