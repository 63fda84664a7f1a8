-- Who belongs to a course; only status active counts as a member.
CREATE TABLE enrollments (
    account_id bigint NOT NULL,
    course_id bigint NOT NULL,
    user_id bigint NOT NULL,
    role text NOT NULL,
    status text NOT NULL,
    CONSTRAINT enrollments_pkey PRIMARY KEY (account_id, course_id, user_id),
    CONSTRAINT enrollments_account_id_course_id_fkey FOREIGN KEY (account_id, course_id) REFERENCES courses(account_id, course_id),
    CONSTRAINT enrollments_account_id_user_id_fkey FOREIGN KEY (account_id, user_id) REFERENCES users(account_id, user_id),
    CONSTRAINT enrollments_role_check CHECK ((role = ANY (ARRAY['learner'::text, 'observer'::text, 'teacher'::text, 'ta'::text, 'designer'::text]))),
    CONSTRAINT enrollments_status_check CHECK ((status = ANY (ARRAY['active'::text, 'invited'::text, 'inactive'::text, 'completed'::text, 'deleted'::text])))
);
ALTER TABLE enrollments ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON enrollments AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON enrollments AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON enrollments AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
