-- Position and time of each log's last event. An append locks its row first: so positions are dense and rise in commit order.
CREATE TABLE log_heads (
    account_id bigint NOT NULL,
    position bigint DEFAULT 0 NOT NULL,
    recorded_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT log_heads_pkey PRIMARY KEY (account_id),
    CONSTRAINT log_heads_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id)
);
ALTER TABLE log_heads ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON log_heads AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON log_heads AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON log_heads AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
