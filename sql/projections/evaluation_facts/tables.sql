-- What the request tells is null only in a rebuild that has not come to it yet.
CREATE TABLE evaluation_facts (
    account_id                  bigint NOT NULL,
    evaluation_id               uuid NOT NULL,
    conversation_id             bigint NOT NULL,
    course_id                   bigint,
    experience_id               bigint,
    experience_version          bigint,
    user_id                     bigint,
    asked_by                    bigint,
    requested_at                timestamptz,
    ended_at                    timestamptz,
    outcome                     text NOT NULL,
    code                        text,
    retryable                   boolean,
    model                       text,
    fallback                    boolean,
    prompt                      text,
    duration_ms                 bigint,
    input_tokens                bigint,
    output_tokens               bigint,
    cache_creation_input_tokens bigint,
    cache_read_input_tokens     bigint,
    attempts                    bigint,
    cost_microusd               bigint,
    position                    bigint NOT NULL,
    PRIMARY KEY (account_id, evaluation_id)
) WITH (fillfactor = 80);
CREATE INDEX ON evaluation_facts (account_id, course_id, requested_at)
 WHERE course_id IS NOT NULL;
COMMENT ON TABLE evaluation_facts IS 'One row for each evaluation of a conversation that somebody asked for; one of the same conversation that was asked for again is another. No words of it.';
COMMENT ON COLUMN evaluation_facts.account_id IS 'The institution.';
COMMENT ON COLUMN evaluation_facts.evaluation_id IS 'The evaluation; the same as turn_id in turn_facts.';
COMMENT ON COLUMN evaluation_facts.conversation_id IS 'The conversation that was evaluated.';
COMMENT ON COLUMN evaluation_facts.course_id IS 'The course.';
COMMENT ON COLUMN evaluation_facts.experience_id IS 'The AI experience.';
COMMENT ON COLUMN evaluation_facts.experience_version IS 'The experience as it was when the evaluation was asked for, counted from 1; the conversation may have an older one.';
COMMENT ON COLUMN evaluation_facts.user_id IS 'The learner whose conversation it is.';
COMMENT ON COLUMN evaluation_facts.asked_by IS 'The user who asked for it; null where it was no user.';
COMMENT ON COLUMN evaluation_facts.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN evaluation_facts.ended_at IS 'When the evaluation or the failure was recorded; null while pending.';
COMMENT ON COLUMN evaluation_facts.outcome IS 'pending, completed, failed or cancelled.';
COMMENT ON COLUMN evaluation_facts.code IS 'Why it failed; null otherwise.';
COMMENT ON COLUMN evaluation_facts.retryable IS 'Whether asking again made sense after the failure; null without a failure.';
COMMENT ON COLUMN evaluation_facts.model IS 'The model that answered; until then, and where none did, the one asked.';
COMMENT ON COLUMN evaluation_facts.fallback IS 'Whether the evaluation is of a model other than the first choice; null without one.';
COMMENT ON COLUMN evaluation_facts.prompt IS 'Name of the prompt template''s file, its version included; null without an evaluation.';
COMMENT ON COLUMN evaluation_facts.duration_ms IS 'Milliseconds from asking the model to the end of its answer; null while pending or when nobody measured it.';
COMMENT ON COLUMN evaluation_facts.input_tokens IS 'Tokens read at the full price, not counting the two cache figures, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN evaluation_facts.output_tokens IS 'Tokens written, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN evaluation_facts.cache_creation_input_tokens IS 'Tokens read and put into the provider''s cache, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN evaluation_facts.cache_read_input_tokens IS 'Tokens read from the provider''s cache, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN evaluation_facts.attempts IS 'Requests made to get an answer, those to a fallback included, those held back since a model had failed too often not; null while pending or when nobody counted.';
COMMENT ON COLUMN evaluation_facts.cost_microusd IS 'Millionths of a US dollar for all attempts; null while pending or where a price is unknown.';
COMMENT ON COLUMN evaluation_facts.position IS 'Position in the log of the last event that changed the row.';
