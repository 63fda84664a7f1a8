CREATE TABLE accounts (
    account_id bigint PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE accounts IS 'Institutions. Each has one log.';

CREATE TABLE log_heads (
    account_id  bigint PRIMARY KEY REFERENCES accounts,
    position    bigint NOT NULL DEFAULT 0,
    recorded_at timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON TABLE log_heads IS
    'Position and time of each log''s last event. An append locks its row first: so positions are dense and rise in commit order.';

-- No foreign keys on the log: its one writer is the append function, and a check
-- a row would cost a third of the append rate.
CREATE TABLE events (
    account_id      bigint NOT NULL,
    position        bigint NOT NULL,
    stream          text NOT NULL,
    revision        bigint NOT NULL,
    event_id        uuid NOT NULL,
    type            text NOT NULL,
    conversation_id bigint,
    data            jsonb NOT NULL,
    metadata        jsonb NOT NULL,
    content_hash    bytea,
    recorded_at     timestamptz NOT NULL,
    PRIMARY KEY (account_id, position),
    UNIQUE (account_id, stream, revision),
    UNIQUE (account_id, event_id)
);
CREATE INDEX events_conversation ON events (account_id, conversation_id, position)
    WHERE conversation_id IS NOT NULL;
COMMENT ON TABLE events IS 'The log: what happened, once and for ever. No personal text.';
COMMENT ON COLUMN events.position IS 'Dense from 1 per account, in commit order.';
COMMENT ON COLUMN events.revision IS 'Dense from 1 per stream.';
COMMENT ON COLUMN events.type IS 'What happened and the version of its form; the same as data->>''type''.';
COMMENT ON COLUMN events.content_hash IS 'SHA-256 (salt || UTF-8 of content); null where the event has no content.';

CREATE TABLE event_content (
    account_id bigint NOT NULL,
    position   bigint NOT NULL,
    subject_id bigint NOT NULL,
    salt       bytea NOT NULL,
    content    text NOT NULL,
    PRIMARY KEY (account_id, position)
);
COMMENT ON TABLE event_content IS
    'Personal text of events, apart from them so that a learner can be erased while every proof holds.';
COMMENT ON COLUMN event_content.subject_id IS 'The user whose conversation the text belongs to.';

CREATE TABLE id_counters (
    account_id bigint NOT NULL REFERENCES accounts,
    kind       text NOT NULL,
    value      bigint NOT NULL,
    PRIMARY KEY (account_id, kind)
);
COMMENT ON TABLE id_counters IS 'The last id given out per account and kind of thing.';

INSERT INTO accounts (account_id, name) VALUES (1, 'Default account');
INSERT INTO log_heads (account_id) VALUES (1);

GRANT SELECT ON accounts, log_heads, events, event_content TO colloquy_service, colloquy_auditor;
