CREATE TABLE tokens (
    token_id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
    account_id bigint NOT NULL,
    user_id bigint NOT NULL,
    token_hash bytea NOT NULL,
    scopes text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    admin boolean DEFAULT false NOT NULL,
    CONSTRAINT tokens_token_hash_key UNIQUE (token_hash),
    CONSTRAINT tokens_pkey PRIMARY KEY (token_id),
    CONSTRAINT tokens_account_id_user_id_fkey FOREIGN KEY (account_id, user_id) REFERENCES users(account_id, user_id)
);
ALTER TABLE tokens ENABLE ROW LEVEL SECURITY;
CREATE INDEX tokens_user ON public.tokens USING btree (account_id, user_id) WHERE (user_id IS NOT NULL);
CREATE POLICY account_entered ON tokens AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON tokens AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON tokens AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
