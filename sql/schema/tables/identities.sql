-- Users as the identity provider of their institution names them.
CREATE TABLE identities (
    account_id bigint NOT NULL,
    subject text NOT NULL,
    user_id bigint NOT NULL,
    CONSTRAINT identities_pkey PRIMARY KEY (account_id, subject),
    CONSTRAINT identities_account_id_user_id_fkey FOREIGN KEY (account_id, user_id) REFERENCES users(account_id, user_id)
);
ALTER TABLE identities ENABLE ROW LEVEL SECURITY;
CREATE INDEX identities_user ON public.identities USING btree (account_id, user_id) WHERE (user_id IS NOT NULL);
CREATE POLICY account_entered ON identities AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON identities AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON identities AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
