-- The log: what happened, once and for ever. No personal text.
CREATE TABLE events (
    account_id bigint NOT NULL,
    position bigint NOT NULL,
    stream text NOT NULL,
    revision bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL,
    conversation_id bigint,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    content_hash bytea,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT events_pkey PRIMARY KEY (account_id, "position")
);
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE INDEX events_conversation ON public.events USING btree (account_id, conversation_id, "position") WHERE (conversation_id IS NOT NULL);
CREATE POLICY account_applied ON events AS PERMISSIVE FOR SELECT TO colloquy_projector USING ((account_id = ( SELECT current_account_v1() AS current_account_v1)));
CREATE POLICY account_entered ON events AS PERMISSIVE FOR SELECT TO colloquy_service USING ((account_id = current_account_v1()));
CREATE POLICY account_granted ON events AS PERMISSIVE FOR SELECT TO colloquy_analyst USING ((account_id = ANY (( SELECT granted_accounts_v1() AS granted_accounts_v1)::bigint[])));
CREATE POLICY every_account ON events AS PERMISSIVE FOR SELECT TO colloquy_auditor, colloquy_worker USING (true);
CREATE TRIGGER refuse_change BEFORE DELETE OR UPDATE OR TRUNCATE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
CREATE UNIQUE INDEX events_event_id ON public.events USING btree (account_id, event_id) WHERE (event_id IS NOT NULL);
CREATE UNIQUE INDEX events_idempotency_key ON public.events USING btree (account_id, ((((metadata -> 'actor'::text) ->> 'id'::text))::bigint), ((metadata ->> 'idempotency_key'::text))) WHERE (metadata ? 'idempotency_key'::text);
CREATE UNIQUE INDEX events_stream ON public.events USING btree (account_id, stream, revision) WHERE (stream IS NOT NULL);
