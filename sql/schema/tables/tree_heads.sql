-- Signed checkpoints: what each tree was at a size.
CREATE TABLE tree_heads (
    account_id bigint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    note text NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    CONSTRAINT tree_heads_pkey PRIMARY KEY (account_id, size),
    CONSTRAINT tree_heads_root_check CHECK ((octet_length(root) = 32)),
    CONSTRAINT tree_heads_size_check CHECK ((size > 0))
);
ALTER TABLE tree_heads ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON tree_heads AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON tree_heads AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON tree_heads AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.tree_heads FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
