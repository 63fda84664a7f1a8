CREATE TABLE model_daily_cost (
    account_id                  bigint NOT NULL,
    day                         date NOT NULL,
    model                       text NOT NULL,
    purpose                     text NOT NULL,
    course_id                   bigint NOT NULL,
    requests                    bigint NOT NULL,
    failed_requests             bigint NOT NULL,
    cancelled_requests          bigint NOT NULL,
    held_back_requests          bigint NOT NULL,
    input_tokens                bigint NOT NULL,
    output_tokens               bigint NOT NULL,
    cache_creation_input_tokens bigint NOT NULL,
    cache_read_input_tokens     bigint NOT NULL,
    cost_microusd               bigint NOT NULL,
    unpriced_requests           bigint NOT NULL,
    position                    bigint NOT NULL,
    PRIMARY KEY (account_id, day, model, purpose, course_id)
) WITH (fillfactor = 70);
CREATE INDEX ON model_daily_cost (account_id, course_id, day)
 WHERE course_id IS NOT NULL;
COMMENT ON TABLE model_daily_cost IS 'One row for each day, model, purpose and course with at least one request. A request is one attempt to get an answer; each counts for the model that it was made to.';
COMMENT ON COLUMN model_daily_cost.account_id IS 'The institution.';
COMMENT ON COLUMN model_daily_cost.day IS 'In UTC, the day on which the answer or the failure was recorded.';
COMMENT ON COLUMN model_daily_cost.model IS 'The model asked; unknown where nobody noted it: the process that asked died, or the event is an old one.';
COMMENT ON COLUMN model_daily_cost.purpose IS 'opening, message (a reply to one), assessment (the judging of objectives beside it) or evaluation.';
COMMENT ON COLUMN model_daily_cost.course_id IS 'The course.';
COMMENT ON COLUMN model_daily_cost.requests IS 'Requests made to the model, failed and cancelled ones included.';
COMMENT ON COLUMN model_daily_cost.failed_requests IS 'Those of them that brought no answer that could be used.';
COMMENT ON COLUMN model_daily_cost.cancelled_requests IS 'Those of them that were stopped before their end.';
COMMENT ON COLUMN model_daily_cost.held_back_requests IS 'Requests that were not made, and are not in requests, since the model had failed too often just before.';
COMMENT ON COLUMN model_daily_cost.input_tokens IS 'Tokens read at the full price, not counting the two cache figures.';
COMMENT ON COLUMN model_daily_cost.output_tokens IS 'Tokens written.';
COMMENT ON COLUMN model_daily_cost.cache_creation_input_tokens IS 'Tokens read and put into the provider''s cache.';
COMMENT ON COLUMN model_daily_cost.cache_read_input_tokens IS 'Tokens read from the provider''s cache.';
COMMENT ON COLUMN model_daily_cost.cost_microusd IS 'Millionths of a US dollar, as far as each request''s is known: a lower bound where unpriced_requests is not 0. Views with a row an answer leave one out of which any request has no known cost.';
COMMENT ON COLUMN model_daily_cost.unpriced_requests IS 'Requests without a known cost, of answers whose whole cost is unknown for that.';
COMMENT ON COLUMN model_daily_cost.position IS 'Position in the log of the last event that changed the row.';
