-- What the idempotency keys of a user are hashed with; erasing the user deletes it. No role reads it.
CREATE TABLE request_secrets (
    account_id bigint NOT NULL,
    user_id bigint NOT NULL,
    inner_key bytea NOT NULL,
    outer_key bytea NOT NULL,
    CONSTRAINT request_secrets_pkey PRIMARY KEY (account_id, user_id),
    CONSTRAINT request_secrets_inner_key_check CHECK ((length(inner_key) = 64)),
    CONSTRAINT request_secrets_outer_key_check CHECK ((length(outer_key) = 64))
);
ALTER TABLE request_secrets ENABLE ROW LEVEL SECURITY;
