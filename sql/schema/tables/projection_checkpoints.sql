-- How far a followed projection, or a rebuild, has come; moved in the transaction that writes its rows.
CREATE TABLE projection_checkpoints (
    name text NOT NULL,
    generation integer NOT NULL,
    account_id bigint NOT NULL,
    position bigint DEFAULT 0 NOT NULL,
    moved_at timestamp with time zone DEFAULT now() NOT NULL,
    error text,
    error_position bigint,
    error_at timestamp with time zone,
    CONSTRAINT projection_checkpoints_pkey PRIMARY KEY (name, generation, account_id),
    CONSTRAINT projection_checkpoints_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id),
    CONSTRAINT projection_checkpoints_name_generation_fkey FOREIGN KEY (name, generation) REFERENCES projections(name, generation) ON DELETE CASCADE
);
ALTER TABLE projection_checkpoints ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON projection_checkpoints AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON projection_checkpoints AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON projection_checkpoints AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
