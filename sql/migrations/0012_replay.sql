-- Position of an account's last event before a moment, or up to it; 0 where there is none. Times
-- rise with positions, so a few look-ups by the key find it, however long the log is.
CREATE FUNCTION find_position_v1(account bigint, moment timestamptz, inclusive boolean)
RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = public, pg_temp AS $$
DECLARE
    low     bigint := 0;
    high    bigint;
    middle  bigint;
    earlier boolean;
BEGIN
    SELECT h.position INTO high FROM log_heads h
     WHERE h.account_id = find_position_v1.account;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT e.recorded_at < find_position_v1.moment
               OR find_position_v1.inclusive AND e.recorded_at = find_position_v1.moment
          INTO earlier
          FROM events e
         WHERE e.account_id = find_position_v1.account AND e.position = middle;
        IF earlier THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;

-- Makes the views of one conversation as they were at a position, for the rest of the caller's
-- transaction: tables in pg_temp by the names of the views in "read". They are filled by the live
-- projections' own statements, taken from the catalog, which find as log, also in pg_temp, what
-- this conversation had by then.
--
-- Whatever name a statement means, pg_temp comes first and is all ours: a table that the session
-- made before under such a name makes this fail.
CREATE FUNCTION replay_conversation_v1(account bigint, conversation bigint, upto bigint)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_temp, public AS $$
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
    CREATE TEMPORARY TABLE event_content (LIKE public.event_content) ON COMMIT DROP;
    INSERT INTO pg_temp.events
    SELECT e.* FROM public.events e
     WHERE e.account_id = replay_conversation_v1.account
       AND e.conversation_id = replay_conversation_v1.conversation
       AND e.position <= replay_conversation_v1.upto;
    INSERT INTO pg_temp.event_content
    SELECT c.* FROM pg_temp.events e
      JOIN public.event_content c ON c.account_id = e.account_id AND c.position = e.position;
    -- Without it long conversations are joined row by row. Not of texts and facts: what is known
    -- of a column has values of it, and stands in the catalog.
    ANALYZE pg_temp.events (account_id, position, type), pg_temp.event_content (account_id, position);

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
                       'upto_position bigint := %s; %s',
                       replay_conversation_v1.account, replay_conversation_v1.upto, f.prosrc))
              FROM pg_proc f
             WHERE f.pronamespace = live.schema_name::regnamespace AND f.proname = 'apply');
        played := played + 1;
    END LOOP;
    IF played < cardinality(wanted) THEN
        RAISE EXCEPTION 'a view is being exchanged' USING ERRCODE = 'serialization_failure';
    END IF;
END
$$;

GRANT EXECUTE ON FUNCTION find_position_v1, replay_conversation_v1 TO colloquy_service;
