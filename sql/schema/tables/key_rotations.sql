-- Checkpoints signed by a sealing key and by the one that replaced it.
CREATE TABLE key_rotations (
    account_id bigint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT key_rotations_pkey PRIMARY KEY (account_id, recorded_at),
    CONSTRAINT key_rotations_root_check CHECK ((octet_length(root) = 32)),
    CONSTRAINT key_rotations_size_check CHECK ((size > 0))
);
ALTER TABLE key_rotations ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON key_rotations AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON key_rotations AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON key_rotations AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.key_rotations FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
