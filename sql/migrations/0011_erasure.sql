-- Personal text can be removed, in one way only: in the transaction that records why.
--
-- The DELETE of a text passes when (1) the same transaction has appended an event that covers it,
-- learner_erased.v1 of its subject or text_expired.v1 of its conversation, and (2) no legal hold
-- covers its subject. The trigger looks at the log for this, so no session setting can stand in
-- for the event; and like the one that refuses UPDATE and TRUNCATE it is on for the owner too.
DROP TRIGGER refuse_change ON event_content;
CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON event_content
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_v1();
ALTER TABLE event_content ENABLE ALWAYS TRIGGER refuse_change;

-- ANALYZE would keep whole values of these columns in the catalog, where no DELETE reaches them.
-- Naming the type anew drops what it has kept so far.
ALTER TABLE event_content
    ALTER COLUMN content SET STATISTICS 0, ALTER COLUMN salt SET STATISTICS 0,
    ALTER COLUMN content TYPE text, ALTER COLUMN salt TYPE bytea;
ALTER TABLE users ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN name TYPE text;
ALTER TABLE identities ALTER COLUMN subject SET STATISTICS 0;

-- Plain look-ups by index in the learner's own stream: they are made under the head row's lock.
CREATE FUNCTION open_holds_v1(account bigint, learner bigint) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT (p.data->>'hold_id')::bigint
      FROM events p
     WHERE p.account_id = open_holds_v1.account
       AND p.stream = 'learner-' || open_holds_v1.learner
       AND p.type = 'hold_placed.v1'
       AND NOT EXISTS (
           SELECT FROM events r
            WHERE r.account_id = p.account_id AND r.stream = p.stream
              AND r.type = 'hold_released.v1' AND r.data->'hold_id' = p.data->'hold_id')
     ORDER BY 1
$$;

-- Whether this transaction has recorded the removal of a text.
CREATE FUNCTION is_removal_recorded_v1(
    account bigint, text_position bigint, subject bigint
) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = public, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM log_heads h
          JOIN events e ON e.account_id = h.account_id AND e.position = h.position
         WHERE h.account_id = is_removal_recorded_v1.account
           AND e.xmin = pg_current_xact_id()::xid
           AND e.type = 'learner_erased.v1'
           AND (e.data->>'user_id')::bigint = is_removal_recorded_v1.subject)
    OR EXISTS (
        SELECT FROM events t
          JOIN events e ON e.account_id = t.account_id AND e.conversation_id = t.conversation_id
         WHERE t.account_id = is_removal_recorded_v1.account
           AND t.position = is_removal_recorded_v1.text_position
           AND e.position > t.position
           AND e.xmin = pg_current_xact_id()::xid
           AND e.type = 'text_expired.v1')
$$;

CREATE FUNCTION refuse_unrecorded_removal_v1() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM gone) THEN
        RAISE EXCEPTION 'DELETE on % is refused: the log is append-only', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM gone g
                WHERE NOT is_removal_recorded_v1(g.account_id, g.position, g.subject_id)) THEN
        RAISE EXCEPTION 'DELETE on % is refused: the log is append-only, and this transaction has not recorded a removal',
            TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF EXISTS (SELECT FROM (SELECT DISTINCT g.account_id, g.subject_id FROM gone g) g,
                    LATERAL open_holds_v1(g.account_id, g.subject_id)) THEN
        RAISE EXCEPTION 'DELETE on % is refused: a legal hold covers the learner', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER refuse_unrecorded_removal AFTER DELETE ON event_content
    REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_unrecorded_removal_v1();
ALTER TABLE event_content ENABLE ALWAYS TRIGGER refuse_unrecorded_removal;

-- Appends events without content, wherever their streams stand. Several of one stream keep their
-- order.
CREATE FUNCTION append_facts_v1(
    account bigint, streams text[], facts jsonb[], metadata jsonb
) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM append_events_v1(
        append_facts_v1.account,
        (SELECT array_agg(s.stream ORDER BY s.stream)
           FROM (SELECT DISTINCT u.stream FROM unnest(append_facts_v1.streams) u (stream)) s),
        (SELECT array_agg(NULL::bigint)
           FROM (SELECT DISTINCT u.stream FROM unnest(append_facts_v1.streams) u (stream)) s),
        array_agg(n.item ORDER BY n.item, n.place),
        array_agg(n.place ORDER BY n.item, n.place),
        array_agg(gen_random_uuid()),
        array_agg(n.fact ORDER BY n.item, n.place),
        array_agg(append_facts_v1.metadata),
        array_agg(NULL::bigint),
        array_agg(NULL::bytea),
        array_agg(NULL::text),
        array_agg(DISTINCT n.fact->>'type'))
      FROM (SELECT u.fact,
                   (dense_rank() OVER (ORDER BY u.stream))::int AS item,
                   (row_number() OVER (PARTITION BY u.stream ORDER BY u.ordinal))::int AS place
              FROM unnest(append_facts_v1.streams, append_facts_v1.facts)
                   WITH ORDINALITY AS u (stream, fact, ordinal)) n;
END
$$;

-- Records that the texts at these positions go, an event for each of their conversations, in the
-- learner's dialogue. Returns how many conversations those were.
-- `rules`: conversation id to {"rule", "days"}; null where the learner is being erased.
CREATE FUNCTION record_expiry_v1(
    account bigint, doomed bigint[], rules jsonb, metadata jsonb
) RETURNS bigint
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    found_streams text[];
    found_facts   jsonb[];
BEGIN
    SELECT array_agg(d.stream ORDER BY d.conversation_id),
           array_agg(jsonb_build_object(
                         'type', 'text_expired.v1', 'conversation_id', d.conversation_id,
                         'user_id', d.subject_id, 'texts', d.texts)
                     || coalesce(record_expiry_v1.rules->(d.conversation_id::text),
                                 '{"rule": "erasure", "days": null}')
                     ORDER BY d.conversation_id)
      INTO found_streams, found_facts
      FROM (SELECT g.conversation_id, g.subject_id, g.texts,
                   (SELECT s.stream FROM events s
                     WHERE s.account_id = record_expiry_v1.account
                       AND s.conversation_id = g.conversation_id
                       AND s.stream LIKE 'dialogue-%'
                     ORDER BY s.position LIMIT 1) AS stream
              FROM (SELECT e.conversation_id, c.subject_id, count(*) AS texts
                      FROM unnest(record_expiry_v1.doomed) AS u (position)
                      JOIN events e ON e.account_id = record_expiry_v1.account
                       AND e.position = u.position
                      JOIN event_content c ON c.account_id = record_expiry_v1.account
                       AND c.position = u.position
                     WHERE e.conversation_id IS NOT NULL
                     GROUP BY e.conversation_id, c.subject_id) g) d
     WHERE d.stream IS NOT NULL;
    IF found_streams IS NOT NULL THEN
        PERFORM append_facts_v1(record_expiry_v1.account, found_streams, found_facts,
                                record_expiry_v1.metadata);
    END IF;
    RETURN coalesce(cardinality(found_streams), 0);
END
$$;

-- A rebuild copies texts into tables that nobody reads yet. One that goes on would be wiped when
-- it comes to the event; but if it died before, its tables would stay. So a removal waits (false)
-- for a rebuild that is alive, and drops what a dead one has left. The lock is the rebuild's own.
CREATE FUNCTION clear_rebuilds_v1() RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    unfinished record;
BEGIN
    FOR unfinished IN SELECT p.name, p.generation FROM projections p
                       WHERE p.state = 'building' AND 'text_expired.v1' = ANY (p.consumes) LOOP
        IF NOT pg_try_advisory_xact_lock(
            hashtextextended('colloquy rebuild ' || unfinished.name, 0)) THEN
            RETURN false;
        END IF;
        PERFORM drop_generation_v1(unfinished.name, unfinished.generation);
    END LOOP;
    RETURN true;
END
$$;

-- Erases a learner, all of it or nothing, in the caller's transaction.
--
-- outcome: 'erased'; or nothing was done: 'held' (by `holds`), 'answering' (a turn or an
-- evaluation of theirs is under way: end it first), 'rebuilding' (see clear_rebuilds_v1),
-- 'nothing' (there is nothing left), 'unknown' (no such user).
CREATE FUNCTION erase_learner_v1(
    account       bigint,
    learner       bigint,
    reason        text,
    metadata      jsonb,
    OUT outcome       text,
    OUT holds         bigint[],
    OUT texts         bigint,
    OUT conversations bigint,
    OUT names         bigint,
    OUT identities    bigint,
    OUT tokens        bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen   bigint;
    doomed bigint[];
    found  bigint[];
BEGIN
    -- Texts are not indexed by subject, which would cost every append. So they are looked
    -- through before the lock, and under it only those that came meanwhile.
    SELECT h.position INTO seen FROM log_heads h WHERE h.account_id = erase_learner_v1.account;
    SELECT coalesce(array_agg(c.position), '{}') INTO doomed
      FROM event_content c
     WHERE c.account_id = erase_learner_v1.account AND c.position <= seen
       AND c.subject_id = erase_learner_v1.learner;

    -- From here to the commit nothing is appended: no text comes, no hold is placed unseen.
    PERFORM FROM log_heads h WHERE h.account_id = erase_learner_v1.account FOR UPDATE;
    erase_learner_v1.outcome := check_erasure_v1(erase_learner_v1.account, erase_learner_v1.learner);
    IF erase_learner_v1.outcome IS NOT NULL THEN
        SELECT array_agg(h) INTO erase_learner_v1.holds
          FROM open_holds_v1(erase_learner_v1.account, erase_learner_v1.learner) h;
        RETURN;
    END IF;
    SELECT coalesce(array_agg(c.position), '{}') INTO found
      FROM event_content c
     WHERE c.account_id = erase_learner_v1.account AND c.position > seen
       AND c.subject_id = erase_learner_v1.learner;
    SELECT coalesce(array_agg(c.position), '{}') INTO doomed
      FROM unnest(doomed || found) AS u (position)
      JOIN event_content c ON c.account_id = erase_learner_v1.account
       AND c.position = u.position;

    WITH named AS (
        UPDATE users u SET name = '[erased]'
         WHERE u.account_id = erase_learner_v1.account AND u.user_id = erase_learner_v1.learner
           AND u.name <> '[erased]'
        RETURNING 1
    ), known AS (
        DELETE FROM identities i
         WHERE i.account_id = erase_learner_v1.account AND i.user_id = erase_learner_v1.learner
        RETURNING 1
    ), let_in AS (
        UPDATE tokens t SET revoked_at = now()
         WHERE t.account_id = erase_learner_v1.account AND t.user_id = erase_learner_v1.learner
           AND t.revoked_at IS NULL
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM named), (SELECT count(*) FROM known),
           (SELECT count(*) FROM let_in), cardinality(doomed)
      INTO erase_learner_v1.names, erase_learner_v1.identities, erase_learner_v1.tokens,
           erase_learner_v1.texts;
    IF erase_learner_v1.names + erase_learner_v1.identities + erase_learner_v1.tokens
       + erase_learner_v1.texts = 0 THEN
        erase_learner_v1.outcome := 'nothing';
        erase_learner_v1.conversations := 0;
        RETURN;
    END IF;

    erase_learner_v1.conversations := record_expiry_v1(
        erase_learner_v1.account, doomed, NULL, erase_learner_v1.metadata);
    PERFORM append_facts_v1(
        erase_learner_v1.account,
        ARRAY['learner-' || erase_learner_v1.learner],
        ARRAY[jsonb_build_object(
            'type', 'learner_erased.v1', 'user_id', erase_learner_v1.learner,
            'reason', erase_learner_v1.reason, 'texts', erase_learner_v1.texts,
            'conversations', erase_learner_v1.conversations, 'names', erase_learner_v1.names,
            'identities', erase_learner_v1.identities, 'tokens', erase_learner_v1.tokens)],
        erase_learner_v1.metadata);
    IF cardinality(doomed) > 0 THEN
        DELETE FROM event_content c
         WHERE c.account_id = erase_learner_v1.account AND c.position = ANY (doomed);
    END IF;
    erase_learner_v1.outcome := 'erased';
END
$$;

-- Why a learner cannot be erased now; null where they can. Call it under the head row's lock.
CREATE FUNCTION check_erasure_v1(account bigint, learner bigint) RETURNS text
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    IF check_erasure_v1.account IS DISTINCT FROM current_account_v1() THEN
        RETURN 'unknown';
    END IF;
    IF NOT EXISTS (SELECT FROM users u WHERE u.account_id = check_erasure_v1.account
                      AND u.user_id = check_erasure_v1.learner) THEN
        RETURN 'unknown';
    END IF;
    IF EXISTS (SELECT FROM open_holds_v1(check_erasure_v1.account, check_erasure_v1.learner)) THEN
        RETURN 'held';
    END IF;
    -- The first event of a dialogue and of an evaluation names the learner.
    IF EXISTS (SELECT FROM read.pending_turns p
                 JOIN events e ON e.account_id = p.account_id AND e.stream = p.stream
                  AND e.revision = 1
                WHERE p.account_id = check_erasure_v1.account
                  AND (e.data->>'user_id')::bigint = check_erasure_v1.learner) THEN
        RETURN 'answering';
    END IF;
    IF NOT clear_rebuilds_v1() THEN
        RETURN 'rebuilding';
    END IF;
    RETURN NULL;
END
$$;

-- Deletes the texts of completed conversations, as retention rules ask for it; all in the caller's
-- transaction. Conversations of learners on hold are passed over.
-- `rules`: conversation id to {"rule", "days"}.
CREATE FUNCTION expire_texts_v1(
    account       bigint,
    rules         jsonb,
    metadata      jsonb,
    OUT outcome       text,    -- 'expired' or 'rebuilding' (see clear_rebuilds_v1)
    OUT texts         bigint,
    OUT conversations bigint,
    OUT held          bigint[] -- learners
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    doomed bigint[];
BEGIN
    IF expire_texts_v1.account IS DISTINCT FROM current_account_v1() THEN
        RAISE EXCEPTION 'the session has not entered account %', expire_texts_v1.account
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    -- From here to the commit no hold is placed unseen.
    PERFORM FROM log_heads h WHERE h.account_id = expire_texts_v1.account FOR UPDATE;
    IF NOT clear_rebuilds_v1() THEN
        expire_texts_v1.outcome := 'rebuilding';
        RETURN;
    END IF;
    WITH candidates AS MATERIALIZED (
        SELECT c.position, c.subject_id
          FROM jsonb_object_keys(expire_texts_v1.rules) AS k (id)
          JOIN read.conversations v ON v.account_id = expire_texts_v1.account
           AND v.conversation_id = k.id::bigint AND v.workflow_state = 'completed'
          JOIN events e ON e.account_id = expire_texts_v1.account
           AND e.conversation_id = k.id::bigint
          JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
    ), on_hold AS MATERIALIZED (
        SELECT s.subject_id
          FROM (SELECT DISTINCT d.subject_id FROM candidates d) s
         WHERE EXISTS (SELECT FROM open_holds_v1(expire_texts_v1.account, s.subject_id))
    )
    SELECT (SELECT coalesce(array_agg(d.position), '{}') FROM candidates d
             WHERE d.subject_id NOT IN (SELECT o.subject_id FROM on_hold o)),
           (SELECT coalesce(array_agg(o.subject_id ORDER BY o.subject_id), '{}') FROM on_hold o)
      INTO doomed, expire_texts_v1.held;
    expire_texts_v1.texts := cardinality(doomed);
    expire_texts_v1.conversations := record_expiry_v1(
        expire_texts_v1.account, doomed, expire_texts_v1.rules, expire_texts_v1.metadata);
    IF cardinality(doomed) > 0 THEN
        DELETE FROM event_content c
         WHERE c.account_id = expire_texts_v1.account AND c.position = ANY (doomed);
    END IF;
    expire_texts_v1.outcome := 'expired';
END
$$;

GRANT EXECUTE ON FUNCTION erase_learner_v1, expire_texts_v1 TO colloquy_service;
