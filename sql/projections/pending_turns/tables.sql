CREATE TABLE pending_turns (
    account_id  bigint NOT NULL,
    turn_id     uuid NOT NULL,
    stream      text NOT NULL,
    owner       bigint,
    deadline_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, turn_id)
) WITH (fillfactor = 70);
