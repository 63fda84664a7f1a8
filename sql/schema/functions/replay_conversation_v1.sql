CREATE OR REPLACE FUNCTION public.replay_conversation_v1(account bigint, conversation bigint, upto bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_temp', 'public'
AS $function$
DECLARE
    wanted   CONSTANT text[] := ARRAY['active_conversations', 'conversations',
                                      'conversation_messages', 'message_feedback'];
    live     public.projections%ROWTYPE;
    relation text;
    played   int := 0;
BEGIN
    IF replay_conversation_v1.account IS DISTINCT FROM public.current_account_v1() THEN
        RAISE EXCEPTION 'the session has not entered account %', replay_conversation_v1.account
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    CREATE TEMPORARY TABLE events (LIKE public.events) ON COMMIT DROP;
    CREATE TEMPORARY TABLE event_content (LIKE public.event_content INCLUDING INDEXES)
        ON COMMIT DROP;
    INSERT INTO pg_temp.events
    SELECT e.* FROM public.events e
     WHERE e.account_id = replay_conversation_v1.account
       AND e.conversation_id = replay_conversation_v1.conversation
       AND e.position <= replay_conversation_v1.upto;
    INSERT INTO pg_temp.event_content
    SELECT c.* FROM pg_temp.events e
      JOIN public.event_content c ON c.account_id = e.account_id AND c.position = e.position;

    -- Locked, since a rebuild that goes live drops the tables of the one before.
    FOR live IN SELECT p.* FROM public.projections p
                 WHERE p.name = ANY (wanted) AND p.state = 'live'
                 ORDER BY p.name FOR KEY SHARE LOOP
        FOREACH relation IN ARRAY live.tables LOOP
            EXECUTE format('CREATE TEMPORARY TABLE %I (LIKE %I.%I INCLUDING ALL) ON COMMIT DROP',
                           relation, live.schema_name, relation);
            EXECUTE format('GRANT SELECT ON pg_temp.%I TO colloquy_service', relation);
        END LOOP;
        -- The label stands for the function's name, by which its statements call its arguments.
        EXECUTE (
            SELECT format('DO %L', format(
                       '<<apply>> DECLARE account bigint := %s; after_position bigint := 0; '
                       'upto_position bigint := %s; types text[] := %L; %s',
                       replay_conversation_v1.account, replay_conversation_v1.upto,
                       live.consumes, f.prosrc))
              FROM pg_proc f
             WHERE f.pronamespace = live.schema_name::regnamespace AND f.proname = 'apply');
        played := played + 1;
    END LOOP;
    IF played < cardinality(wanted) THEN
        RAISE EXCEPTION 'a view is being exchanged' USING ERRCODE = 'serialization_failure';
    END IF;
END
$function$;
