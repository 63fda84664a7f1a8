-- What the request tells is null only in a rebuild that has not come to it yet.
CREATE TABLE turn_facts (
    account_id                  bigint NOT NULL,
    turn_id                     uuid NOT NULL,
    conversation_id             bigint NOT NULL,
    course_id                   bigint,
    experience_id               bigint,
    user_id                     bigint,
    kind                        text NOT NULL,
    retry                       boolean,
    takeovers                   bigint NOT NULL DEFAULT 0,
    requested_at                timestamptz,
    ended_at                    timestamptz,
    outcome                     text NOT NULL,
    code                        text,
    retryable                   boolean,
    model                       text,
    fallback                    boolean,
    prompt                      text,
    stop_reason                 text,
    first_token_ms              bigint,
    duration_ms                 bigint,
    input_tokens                bigint,
    output_tokens               bigint,
    cache_creation_input_tokens bigint,
    cache_read_input_tokens     bigint,
    cached_input_share          double precision GENERATED ALWAYS AS (
        cache_read_input_tokens::double precision
        / nullif(input_tokens + cache_creation_input_tokens + cache_read_input_tokens, 0)
    ) STORED,
    attempts                    bigint,
    cost_microusd               bigint,
    assessment_outcome          text,
    assessment_ms               bigint,
    assessment_cost_microusd    bigint,
    position                    bigint NOT NULL,
    PRIMARY KEY (account_id, turn_id)
) WITH (fillfactor = 80);
CREATE INDEX ON turn_facts (account_id, course_id, requested_at)
 WHERE course_id IS NOT NULL;
COMMENT ON TABLE turn_facts IS 'One row for each time that the model was asked to speak: to open a conversation, to answer a message, to evaluate a conversation.';
COMMENT ON COLUMN turn_facts.account_id IS 'The institution.';
COMMENT ON COLUMN turn_facts.turn_id IS 'The turn; of an evaluation, the evaluation''s id.';
COMMENT ON COLUMN turn_facts.conversation_id IS 'The conversation; of a failed opening, one that never came to be.';
COMMENT ON COLUMN turn_facts.course_id IS 'The course.';
COMMENT ON COLUMN turn_facts.experience_id IS 'The AI experience.';
COMMENT ON COLUMN turn_facts.user_id IS 'The learner whose conversation it is.';
COMMENT ON COLUMN turn_facts.kind IS 'opening: the model begins a conversation. message: it answers one. evaluation: it judges a whole one.';
COMMENT ON COLUMN turn_facts.retry IS 'Whether the learner asked again for an answer to a message that had none.';
COMMENT ON COLUMN turn_facts.takeovers IS 'How often another process asked the model anew, since the one before was gone.';
COMMENT ON COLUMN turn_facts.requested_at IS 'When it was asked for.';
COMMENT ON COLUMN turn_facts.ended_at IS 'When the answer or the failure was recorded; null while pending.';
COMMENT ON COLUMN turn_facts.outcome IS 'pending, completed, failed or cancelled.';
COMMENT ON COLUMN turn_facts.code IS 'Why it failed or was cancelled; null otherwise.';
COMMENT ON COLUMN turn_facts.retryable IS 'Whether asking again made sense after the failure; null without a failure.';
COMMENT ON COLUMN turn_facts.model IS 'The model that answered; until then, and where none did, the one asked.';
COMMENT ON COLUMN turn_facts.fallback IS 'Whether the answer is of a model other than the first choice; null without an answer.';
COMMENT ON COLUMN turn_facts.prompt IS 'Name of the prompt template''s file, its version included; null without an answer.';
COMMENT ON COLUMN turn_facts.stop_reason IS 'Why the model stopped, in its provider''s words; null without an answer.';
COMMENT ON COLUMN turn_facts.first_token_ms IS 'Milliseconds from asking the model to its first words; null without an answer.';
COMMENT ON COLUMN turn_facts.duration_ms IS 'Milliseconds from asking the model to the end of its answer; null while pending or when nobody measured it.';
COMMENT ON COLUMN turn_facts.input_tokens IS 'Tokens read at the full price, not counting the two cache figures, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN turn_facts.output_tokens IS 'Tokens written, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN turn_facts.cache_creation_input_tokens IS 'Tokens read and put into the provider''s cache, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN turn_facts.cache_read_input_tokens IS 'Tokens read from the provider''s cache, by the last attempt alone (model_daily_cost has all); null where no tokens were told.';
COMMENT ON COLUMN turn_facts.cached_input_share IS 'Share of all tokens read that came from the cache, 0 to 1; null where none were read or told.';
COMMENT ON COLUMN turn_facts.attempts IS 'Requests made to get an answer, those to a fallback included, those held back since a model had failed too often not; null while pending or when nobody counted.';
COMMENT ON COLUMN turn_facts.cost_microusd IS 'Millionths of a US dollar for all attempts of the process that ended the turn (model_daily_cost has those before a takeover, too); null while pending or where a price is unknown.';
COMMENT ON COLUMN turn_facts.assessment_outcome IS 'Of the judging of objectives beside the reply: completed or failed; null where nobody judged (yet).';
COMMENT ON COLUMN turn_facts.assessment_ms IS 'Milliseconds that the judging took; null without one or when nobody measured it.';
COMMENT ON COLUMN turn_facts.assessment_cost_microusd IS 'Millionths of a US dollar for the judging, not in cost_microusd; null without one or where a price is unknown.';
COMMENT ON COLUMN turn_facts.position IS 'Position in the log of the last event that changed the row.';
