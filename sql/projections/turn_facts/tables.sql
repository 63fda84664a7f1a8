CREATE TABLE turn_facts (
    account_id                  bigint NOT NULL,
    turn_id                     uuid NOT NULL,
    conversation_id             bigint NOT NULL,
    course_id                   bigint NOT NULL,
    experience_id               bigint NOT NULL,
    user_id                     bigint NOT NULL,
    kind                        text NOT NULL,
    requested_at                timestamptz NOT NULL,
    ended_at                    timestamptz,
    outcome                     text NOT NULL,
    code                        text,
    model                       text NOT NULL,
    stop_reason                 text,
    first_token_ms              bigint,
    duration_ms                 bigint,
    input_tokens                bigint,
    output_tokens               bigint,
    cache_creation_input_tokens bigint,
    cache_read_input_tokens     bigint,
    attempts                    bigint,
    cost_microusd               bigint,
    PRIMARY KEY (account_id, turn_id)
) WITH (fillfactor = 80);
CREATE INDEX ON turn_facts (account_id, course_id, requested_at);
COMMENT ON TABLE turn_facts IS 'One row for each time that the model was asked to speak.';
COMMENT ON COLUMN turn_facts.kind IS 'opening: the model begins a conversation. message: it answers one. evaluation: it judges a whole one.';
COMMENT ON COLUMN turn_facts.outcome IS 'pending, completed, failed or cancelled.';
COMMENT ON COLUMN turn_facts.code IS 'Why it failed or was cancelled; null otherwise.';
COMMENT ON COLUMN turn_facts.model IS 'The model that answered; until then the one asked.';
COMMENT ON COLUMN turn_facts.first_token_ms IS 'Milliseconds from asking the model to its first words; null without a reply.';
COMMENT ON COLUMN turn_facts.duration_ms IS 'Milliseconds from asking the model to the end of its answer; null while pending or when nobody measured it.';
COMMENT ON COLUMN turn_facts.input_tokens IS 'Not counting the two cache figures; null without a reply.';
COMMENT ON COLUMN turn_facts.attempts IS 'Requests to models, those of a fallback included; null while pending.';
COMMENT ON COLUMN turn_facts.cost_microusd IS 'Millionths of a US dollar for all attempts; null where a price is unknown or nothing came back.';
