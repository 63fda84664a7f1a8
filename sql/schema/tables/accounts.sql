-- Institutions. Each has one log.
CREATE TABLE accounts (
    account_id bigint NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT accounts_pkey PRIMARY KEY (account_id)
);
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON accounts AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON accounts AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON accounts AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
