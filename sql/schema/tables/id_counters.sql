-- The last id given out per account and kind of thing.
CREATE TABLE id_counters (
    account_id bigint NOT NULL,
    kind text NOT NULL,
    value bigint NOT NULL,
    CONSTRAINT id_counters_pkey PRIMARY KEY (account_id, kind),
    CONSTRAINT id_counters_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id)
);
ALTER TABLE id_counters ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON id_counters AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON id_counters AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON id_counters AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
