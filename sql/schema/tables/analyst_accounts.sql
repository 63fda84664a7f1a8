-- The accounts that each analyst's login may see.
CREATE TABLE analyst_accounts (
    role_name name NOT NULL,
    account_id bigint NOT NULL,
    granted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT analyst_accounts_pkey PRIMARY KEY (role_name, account_id),
    CONSTRAINT analyst_accounts_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id)
);
ALTER TABLE analyst_accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON analyst_accounts AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON analyst_accounts AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON analyst_accounts AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
