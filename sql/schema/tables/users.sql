CREATE TABLE users (
    account_id bigint NOT NULL,
    user_id bigint NOT NULL,
    name text NOT NULL,
    CONSTRAINT users_pkey PRIMARY KEY (account_id, user_id),
    CONSTRAINT users_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id)
);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON users AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON users AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON users AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
