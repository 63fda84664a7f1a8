CREATE TABLE experience_funnel (
    account_id                    bigint NOT NULL,
    course_id                     bigint NOT NULL,
    experience_id                 bigint NOT NULL,
    first_opened_at               timestamptz NOT NULL,
    conversations_opened          bigint NOT NULL,
    conversations_replied         bigint NOT NULL,
    conversations_completed       bigint NOT NULL,
    conversations_with_objectives bigint NOT NULL,
    conversations_met             bigint NOT NULL,
    learners_opened               bigint NOT NULL,
    learners_replied              bigint NOT NULL,
    learners_completed            bigint NOT NULL,
    learners_with_objectives      bigint NOT NULL,
    learners_met                  bigint NOT NULL,
    position                      bigint NOT NULL,
    PRIMARY KEY (account_id, course_id, experience_id)
) WITH (fillfactor = 70);
CREATE TABLE conversation_stages (
    account_id      bigint NOT NULL,
    conversation_id bigint NOT NULL,
    course_id       bigint NOT NULL,
    experience_id   bigint NOT NULL,
    user_id         bigint NOT NULL,
    objectives      bigint NOT NULL,
    covered         bigint NOT NULL DEFAULT 0,
    opened          bigint NOT NULL,
    opened_at       timestamptz NOT NULL,
    replied         bigint,
    completed       bigint,
    met             bigint,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE conversation_stages IS 'The positions in the log at which each conversation came to each stage.';
CREATE TABLE learner_stages (
    account_id    bigint NOT NULL,
    course_id     bigint NOT NULL,
    experience_id bigint NOT NULL,
    user_id       bigint NOT NULL,
    stage         text NOT NULL,
    PRIMARY KEY (account_id, course_id, experience_id, user_id, stage)
);
COMMENT ON TABLE learner_stages IS 'The stages that each learner has come to in any conversation: each counts once.';
COMMENT ON TABLE experience_funnel IS 'One row for each AI experience with at least one conversation: how many conversations, and how many different learners, came to each stage. Stages are independent of each other: a conversation can be completed without a reply.';
COMMENT ON COLUMN experience_funnel.account_id IS 'The institution.';
COMMENT ON COLUMN experience_funnel.course_id IS 'The course.';
COMMENT ON COLUMN experience_funnel.experience_id IS 'The AI experience.';
COMMENT ON COLUMN experience_funnel.first_opened_at IS 'When its first conversation was opened.';
COMMENT ON COLUMN experience_funnel.conversations_opened IS 'Conversations that the model has opened.';
COMMENT ON COLUMN experience_funnel.conversations_replied IS 'Those of them in which the learner said at least one thing that was answered.';
COMMENT ON COLUMN experience_funnel.conversations_completed IS 'Those of them that take no more messages: superseded by the learner''s next one, or deleted.';
COMMENT ON COLUMN experience_funnel.conversations_with_objectives IS 'Those of them that have objectives.';
COMMENT ON COLUMN experience_funnel.conversations_met IS 'Those of these in which the learner covered every objective.';
COMMENT ON COLUMN experience_funnel.learners_opened IS 'Different learners with a conversation that was opened.';
COMMENT ON COLUMN experience_funnel.learners_replied IS 'Different learners who said at least one thing that was answered.';
COMMENT ON COLUMN experience_funnel.learners_completed IS 'Different learners with a conversation that takes no more messages.';
COMMENT ON COLUMN experience_funnel.learners_with_objectives IS 'Different learners with a conversation that has objectives.';
COMMENT ON COLUMN experience_funnel.learners_met IS 'Different learners who covered every objective in one conversation.';
COMMENT ON COLUMN experience_funnel.position IS 'Position in the log of the last event that changed the row.';
