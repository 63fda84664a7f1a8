CREATE TABLE legal_holds (
    account_id     bigint NOT NULL,
    hold_id        bigint NOT NULL,
    user_id        bigint NOT NULL,
    reason         text NOT NULL,
    placed_at      timestamptz NOT NULL,
    released_at    timestamptz,
    release_reason text,
    PRIMARY KEY (account_id, hold_id)
);
CREATE INDEX ON legal_holds (account_id, user_id)
 WHERE user_id IS NOT NULL;
COMMENT ON COLUMN legal_holds.user_id IS 'The learner whose texts may not be deleted.';
