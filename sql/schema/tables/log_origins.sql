-- What signed checkpoints call each log, from the checkpoint of which size on.
CREATE TABLE log_origins (
    account_id bigint NOT NULL,
    origin text NOT NULL,
    since_size bigint NOT NULL,
    CONSTRAINT log_origins_pkey PRIMARY KEY (account_id, origin),
    CONSTRAINT log_origins_origin_check CHECK ((origin ~ '^[^[:space:]]+$'::text)),
    CONSTRAINT log_origins_since_size_check CHECK ((since_size > 0))
);
ALTER TABLE log_origins ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON log_origins AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON log_origins AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON log_origins AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.log_origins FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
