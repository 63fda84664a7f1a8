CREATE TABLE daily_course_activity (
    account_id              bigint NOT NULL,
    course_id               bigint NOT NULL,
    day                     date NOT NULL,
    active_learners         bigint NOT NULL,
    conversations_opened    bigint NOT NULL,
    conversations_completed bigint NOT NULL,
    messages                bigint NOT NULL,
    replies                 bigint NOT NULL,
    failed_turns            bigint NOT NULL,
    cancelled_turns         bigint NOT NULL,
    objectives_covered      bigint NOT NULL,
    conversations_met       bigint NOT NULL,
    votes_liked             bigint NOT NULL,
    votes_disliked          bigint NOT NULL,
    evaluations             bigint NOT NULL,
    cost_microusd           bigint NOT NULL,
    unpriced                bigint NOT NULL,
    position                bigint NOT NULL,
    PRIMARY KEY (account_id, course_id, day)
) WITH (fillfactor = 70);
CREATE TABLE active_learners (
    account_id bigint NOT NULL,
    course_id  bigint NOT NULL,
    day        date NOT NULL,
    user_id    bigint NOT NULL,
    PRIMARY KEY (account_id, course_id, day, user_id)
);
COMMENT ON TABLE active_learners IS 'Who was active in a course on a day: each counts once.';
CREATE TABLE conversation_progress (
    account_id      bigint NOT NULL,
    conversation_id bigint NOT NULL,
    objectives      bigint NOT NULL,
    covered         bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE conversation_progress IS 'How many objectives of a conversation that has some are covered.';
COMMENT ON TABLE daily_course_activity IS 'One row for each course and day (UTC) on which something happened in its conversations. Everything counts for the day on which it was recorded.';
COMMENT ON COLUMN daily_course_activity.account_id IS 'The institution.';
COMMENT ON COLUMN daily_course_activity.course_id IS 'The course.';
COMMENT ON COLUMN daily_course_activity.day IS 'The day in UTC.';
COMMENT ON COLUMN daily_course_activity.active_learners IS 'Different learners who asked for a conversation or said something. Not to be added up over days.';
COMMENT ON COLUMN daily_course_activity.conversations_opened IS 'Conversations that the model opened.';
COMMENT ON COLUMN daily_course_activity.conversations_completed IS 'Conversations that were superseded by the learner''s next one, or deleted.';
COMMENT ON COLUMN daily_course_activity.messages IS 'What learners said, with and without an answer: a number of messages.';
COMMENT ON COLUMN daily_course_activity.replies IS 'Messages that were answered; openings are not counted.';
COMMENT ON COLUMN daily_course_activity.failed_turns IS 'Openings and messages that were not answered, since the model failed.';
COMMENT ON COLUMN daily_course_activity.cancelled_turns IS 'Openings and messages that were not answered, since somebody ended the turn.';
COMMENT ON COLUMN daily_course_activity.objectives_covered IS 'Objectives that were first covered in their conversations.';
COMMENT ON COLUMN daily_course_activity.conversations_met IS 'Conversations of which the last objective was covered.';
COMMENT ON COLUMN daily_course_activity.votes_liked IS 'Votes "liked" that were given, of whomever, also those that were replaced or withdrawn later.';
COMMENT ON COLUMN daily_course_activity.votes_disliked IS 'Votes "disliked" that were given, of whomever, also those that were replaced or withdrawn later.';
COMMENT ON COLUMN daily_course_activity.evaluations IS 'Evaluations of conversations that were completed.';
COMMENT ON COLUMN daily_course_activity.cost_microusd IS 'Millionths of a US dollar for openings, replies, judgements and evaluations, with all attempts and failed ones, as far as known: a lower bound where unpriced is not 0.';
COMMENT ON COLUMN daily_course_activity.unpriced IS 'How many of the same have no known cost.';
COMMENT ON COLUMN daily_course_activity.position IS 'Position in the log of the last event that changed the row.';
