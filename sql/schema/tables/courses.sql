CREATE TABLE courses (
    account_id bigint NOT NULL,
    course_id bigint NOT NULL,
    CONSTRAINT courses_pkey PRIMARY KEY (account_id, course_id),
    CONSTRAINT courses_account_id_fkey FOREIGN KEY (account_id) REFERENCES accounts(account_id)
);
ALTER TABLE courses ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON courses AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON courses AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON courses AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
