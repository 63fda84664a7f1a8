-- Personal text of events, apart from them so that a learner can be erased while every proof holds.
CREATE TABLE event_content (
    account_id bigint NOT NULL,
    position bigint NOT NULL,
    subject_id bigint NOT NULL,
    salt bytea NOT NULL,
    content text NOT NULL,
    CONSTRAINT event_content_pkey PRIMARY KEY (account_id, "position"),
    CONSTRAINT event_content_salt CHECK ((octet_length(salt) = 16)) NOT VALID
);
ALTER TABLE event_content ENABLE ROW LEVEL SECURITY;
CREATE POLICY account_entered ON event_content AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON event_content AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON event_content AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON public.event_content FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
CREATE TRIGGER refuse_unrecorded_removal AFTER DELETE ON public.event_content REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION refuse_unrecorded_removal_v1();
