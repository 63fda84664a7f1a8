CREATE TABLE objective_facts (
    account_id          bigint NOT NULL,
    conversation_id     bigint NOT NULL,
    objective           bigint NOT NULL,
    course_id           bigint NOT NULL,
    experience_id       bigint NOT NULL,
    experience_version  bigint NOT NULL,
    user_id             bigint NOT NULL,
    started_at          timestamptz NOT NULL,
    covered             boolean GENERATED ALWAYS AS (covered_at IS NOT NULL) STORED,
    covered_at          timestamptz,
    seconds_to_cover    double precision GENERATED ALWAYS AS (
        extract(epoch FROM covered_at - started_at)::double precision
    ) STORED,
    turn_id             uuid,
    turn_number         bigint,
    evidence_message_id uuid,
    position            bigint NOT NULL,
    PRIMARY KEY (account_id, conversation_id, objective)
) WITH (fillfactor = 80);
CREATE INDEX ON objective_facts (account_id, course_id, experience_id)
 WHERE course_id IS NOT NULL;
CREATE TABLE conversation_turns (
    account_id      bigint NOT NULL,
    conversation_id bigint NOT NULL,
    turns           bigint NOT NULL,
    PRIMARY KEY (account_id, conversation_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE objective_facts IS 'One row for each objective of each conversation, from its opening on. The objective''s words are in the experience''s version.';
COMMENT ON COLUMN objective_facts.account_id IS 'The institution.';
COMMENT ON COLUMN objective_facts.conversation_id IS 'The conversation.';
COMMENT ON COLUMN objective_facts.objective IS 'Its place among the objectives of the experience''s version, counted from 1.';
COMMENT ON COLUMN objective_facts.course_id IS 'The course.';
COMMENT ON COLUMN objective_facts.experience_id IS 'The AI experience.';
COMMENT ON COLUMN objective_facts.experience_version IS 'Version of the experience that the conversation started with and keeps, counted from 1.';
COMMENT ON COLUMN objective_facts.user_id IS 'The learner.';
COMMENT ON COLUMN objective_facts.started_at IS 'When the conversation was opened.';
COMMENT ON COLUMN objective_facts.covered IS 'Whether the learner has covered it. It stays so.';
COMMENT ON COLUMN objective_facts.covered_at IS 'When it was first judged to be covered; null where it is not.';
COMMENT ON COLUMN objective_facts.seconds_to_cover IS 'Seconds from the opening to covered_at; null where it is not covered.';
COMMENT ON COLUMN objective_facts.turn_id IS 'The turn whose judging found it covered; null where it is not.';
COMMENT ON COLUMN objective_facts.turn_number IS 'That turn''s place among the learner''s messages in the conversation, counted from 1, those that got no answer included; null where it is not covered.';
COMMENT ON COLUMN objective_facts.evidence_message_id IS 'The learner''s message that shows it, of that turn or an earlier one; null where it is not covered.';
COMMENT ON COLUMN objective_facts.position IS 'Position in the log of the last event that changed the row.';
