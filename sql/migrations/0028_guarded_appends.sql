-- An append may carry a guard: what it rests on, as that was when the request was checked. The guard
-- is looked at again under the head row's lock, so that nothing is recorded that rests on what is
-- no more. A guard is a JSON object:
--   position, streams   nothing may have come into these streams after this position;
--   token_id, admin     the token still works, and is an administrator's;
--   until               the provider's token still works;
--   user_id             of: subject (the provider's name for them still is theirs),
--                       course_id and role (which they still have in this course);
--   limit               {"user_id", "kind", "most"}: how often they may ask in a day.

-- What has changed of what a guard says: 'token', 'role', 'stream', or 'erasure' where user_id, whose
-- token is their provider's, was erased meanwhile; null where nothing has. Each condition is a
-- look-up by its full key: it is made under the head row's lock.
CREATE FUNCTION find_change_v1(account bigint, guard jsonb) RETURNS text
LANGUAGE plpgsql STRICT SET search_path = public, pg_temp AS $$
BEGIN
    IF guard ? 'token_id' AND NOT EXISTS (
        SELECT FROM tokens t
         WHERE t.token_id = (guard->>'token_id')::bigint
           AND t.account_id = find_change_v1.account AND t.revoked_at IS NULL
           AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
           AND (t.admin OR NOT guard ? 'admin')) THEN
        RETURN 'token';
    END IF;
    IF (guard->>'until')::timestamptz <= clock_timestamp() THEN
        RETURN 'token';
    END IF;
    IF guard ? 'subject' AND NOT EXISTS (
        SELECT FROM identities i
         WHERE i.account_id = find_change_v1.account AND i.subject = guard->>'subject'
           AND i.user_id = (guard->>'user_id')::bigint) THEN
        RETURN 'token';
    END IF;
    IF guard ? 'role' AND NOT EXISTS (
        SELECT FROM enrollments r
         WHERE r.account_id = find_change_v1.account
           AND r.course_id = (guard->>'course_id')::bigint
           AND r.user_id = (guard->>'user_id')::bigint
           AND r.role = guard->>'role' AND r.status = 'active') THEN
        RETURN 'role';
    END IF;
    IF (guard->>'position')::bigint < ANY (ARRAY(
        SELECT (SELECT e.position FROM events e
                 WHERE e.account_id = find_change_v1.account AND e.stream = s.name
                 ORDER BY e.revision DESC LIMIT 1)
          FROM jsonb_array_elements_text(guard->'streams') AS s (name))) THEN
        RETURN CASE WHEN guard ? 'until' AND EXISTS (
            SELECT FROM events e
             WHERE e.account_id = find_change_v1.account
               AND e.stream = 'learner-' || (guard->>'user_id')
               AND e.position > (guard->>'position')::bigint AND e.type = 'learner_erased.v1')
            THEN 'erasure' ELSE 'stream' END;
    END IF;
    RETURN NULL;
END
$$;

-- As append_events_v1, but that items may carry guards, and that it says why an item is not stored.
CREATE FUNCTION append_events_v2(
    account     bigint,
    streams     text[],    -- per item
    expected    bigint[],  -- per item: the stream's revision, 0 for a new one, null for any
    guards      jsonb[],   -- per item: its guard or null; empty where no item has one
    items       int[],     -- per event: its item, from 1
    offsets     bigint[],  -- per event: its place among the batch's events of its stream, from 1
    event_ids   uuid[],
    data        jsonb[],
    metadata    jsonb[],
    subjects    bigint[],
    salts       bytea[],
    contents    text[],
    types       text[],    -- the distinct types in the batch
    OUT head        bigint,    -- position of the last event before this batch
    OUT recorded_at timestamptz,
    OUT currents    bigint[],  -- per item: the stream's revision before this batch
    OUT refusals    text[]     -- per item: 'revision', what find_change_v1 says, 'limit'; null: stored
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    stored bigint;
BEGIN
    SELECT h.position, greatest(h.recorded_at, clock_timestamp())
      INTO append_events_v2.head, append_events_v2.recorded_at
      FROM log_heads h
     WHERE h.account_id = append_events_v2.account
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'account % has no log', append_events_v2.account
            USING ERRCODE = 'foreign_key_violation';
    END IF;

    -- From the expected revision on there is one row to read; all of a stream only where it has
    -- fewer than were expected, or any number is.
    SELECT array_agg(i.current),
           array_agg(CASE WHEN i.expected <> i.current THEN 'revision' END)
      INTO append_events_v2.currents, append_events_v2.refusals
      FROM (SELECT u.expected,
                   coalesce((SELECT e.revision FROM events e
                              WHERE e.account_id = append_events_v2.account
                                AND e.stream = u.stream AND e.revision >= u.expected
                              ORDER BY e.revision DESC LIMIT 1),
                            (SELECT e.revision FROM events e
                              WHERE e.account_id = append_events_v2.account
                                AND e.stream = u.stream
                              ORDER BY e.revision DESC LIMIT 1), 0) AS current
              FROM unnest(append_events_v2.streams, append_events_v2.expected)
                   WITH ORDINALITY AS u (stream, expected, item)
             ORDER BY u.item
            OFFSET 0) i;

    IF append_events_v2.guards <> '{}' THEN
        append_events_v2.refusals := check_guards_v1(
            append_events_v2.account, append_events_v2.guards, append_events_v2.refusals,
            (append_events_v2.recorded_at AT TIME ZONE 'UTC')::date);
    END IF;

    WITH fresh AS MATERIALIZED (
        SELECT n.*, append_events_v2.head + row_number() OVER (ORDER BY n.ordinal) AS position
          FROM unnest(append_events_v2.items, append_events_v2.offsets,
                      append_events_v2.event_ids, append_events_v2.data,
                      append_events_v2.metadata, append_events_v2.subjects,
                      append_events_v2.salts, append_events_v2.contents)
               WITH ORDINALITY AS n (item, place, event_id, data, metadata, subject, salt,
                                     content, ordinal)
         WHERE append_events_v2.refusals[n.item] IS NULL
    ), events_stored AS (
        INSERT INTO events (account_id, position, stream, revision, event_id, type,
                            conversation_id, data, metadata, content_hash, recorded_at)
        SELECT append_events_v2.account, f.position, append_events_v2.streams[f.item],
               append_events_v2.currents[f.item] + f.place, f.event_id,
               f.data->>'type', (f.data->>'conversation_id')::bigint, f.data, f.metadata,
               sha256(f.salt || convert_to(f.content, 'UTF8')), append_events_v2.recorded_at
          FROM fresh f
    ), content_stored AS (
        INSERT INTO event_content (account_id, position, subject_id, salt, content)
        SELECT append_events_v2.account, f.position, f.subject, f.salt, f.content
          FROM fresh f
         WHERE f.content IS NOT NULL
    )
    SELECT count(*) INTO stored FROM fresh;

    IF stored > 0 THEN
        UPDATE log_heads h
           SET position = append_events_v2.head + stored,
               recorded_at = append_events_v2.recorded_at
         WHERE h.account_id = append_events_v2.account;
        PERFORM apply_inline_projections(append_events_v2.account, append_events_v2.head,
                                         append_events_v2.head + stored, append_events_v2.types);
    END IF;
END
$$;

-- The refusals of a batch, with those that its guards add. Of one user's requests of a kind in the
-- batch only as many come through as the day, by which they will be counted, has left.
CREATE FUNCTION check_guards_v1(account bigint, guards jsonb[], refusals text[], today date)
RETURNS text[]
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    refusals := ARRAY(
        SELECT coalesce(u.refusal, find_change_v1(check_guards_v1.account, u.guard))
          FROM unnest(check_guards_v1.refusals, check_guards_v1.guards)
               WITH ORDINALITY AS u (refusal, guard, item)
         ORDER BY u.item);
    RETURN ARRAY(
        SELECT CASE WHEN l.refusal IS NULL AND l.used + l.place > (l.quota->>'most')::bigint
                    THEN 'limit' ELSE l.refusal END
          FROM (SELECT u.refusal, u.item, u.guard->'limit' AS quota,
                       count(*) FILTER (WHERE u.refusal IS NULL)
                           OVER (PARTITION BY u.guard->'limit'->'user_id',
                                              u.guard->'limit'->'kind' ORDER BY u.item) AS place,
                       CASE WHEN u.refusal IS NULL AND u.guard ? 'limit' THEN coalesce((
                           SELECT c.requests FROM read.request_counts c
                            WHERE c.account_id = check_guards_v1.account
                              AND c.user_id = (u.guard->'limit'->>'user_id')::bigint
                              AND c.day = check_guards_v1.today
                              AND c.kind = u.guard->'limit'->>'kind'), 0) END AS used
                  FROM unnest(refusals, check_guards_v1.guards)
                       WITH ORDINALITY AS u (refusal, guard, item)) l
         ORDER BY l.item);
END
$$;

-- For what appends without guards: removals, and processes of the release before, whose keys are
-- hashed as those of this one are before they come here.
CREATE OR REPLACE FUNCTION append_events_v1(
    account bigint, streams text[], expected bigint[], items int[], offsets bigint[],
    event_ids uuid[], data jsonb[], metadata jsonb[], subjects bigint[], salts bytea[],
    contents text[], types text[],
    OUT head bigint, OUT recorded_at timestamptz, OUT currents bigint[], OUT accepted boolean[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_variable
BEGIN
    SELECT a.head, a.recorded_at, a.currents,
           ARRAY(SELECT u.refusal IS NULL
                   FROM unnest(a.refusals) WITH ORDINALITY AS u (refusal, item) ORDER BY u.item)
      INTO append_events_v1.head, append_events_v1.recorded_at, append_events_v1.currents,
           append_events_v1.accepted
      FROM append_events_v2(
               append_events_v1.account, append_events_v1.streams, append_events_v1.expected, '{}',
               append_events_v1.items, append_events_v1.offsets, append_events_v1.event_ids,
               append_events_v1.data,
               hash_request_keys_v1(append_events_v1.account, append_events_v1.metadata),
               append_events_v1.subjects,
               append_events_v1.salts, append_events_v1.contents, append_events_v1.types) a;
END
$$;

-- As erase_learner_v1, but that the secret of the learner's request keys goes too, and that what the
-- request rests on is looked at under the lock: where that has changed nothing is done, and
-- `outcome` is what find_change_v1 says.
CREATE FUNCTION erase_learner_v2(
    account       bigint,
    learner       bigint,
    reason        text,
    metadata      jsonb,
    guard         jsonb,  -- null: none
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
    seen    bigint;
    doomed  bigint[];
    found   bigint[];
    secrets bigint;
BEGIN
    -- Texts are not indexed by subject, which would cost every append. So they are looked
    -- through before the lock, and under it only those that came meanwhile.
    SELECT h.position INTO seen FROM log_heads h WHERE h.account_id = erase_learner_v2.account;
    SELECT coalesce(array_agg(c.position), '{}') INTO doomed
      FROM event_content c
     WHERE c.account_id = erase_learner_v2.account AND c.position <= seen
       AND c.subject_id = erase_learner_v2.learner;

    -- From here to the commit nothing is appended: no text comes, no hold is placed unseen.
    PERFORM FROM log_heads h WHERE h.account_id = erase_learner_v2.account FOR UPDATE;
    erase_learner_v2.outcome := coalesce(
        find_change_v1(erase_learner_v2.account, erase_learner_v2.guard),
        check_erasure_v1(erase_learner_v2.account, erase_learner_v2.learner));
    IF erase_learner_v2.outcome IS NOT NULL THEN
        SELECT array_agg(h) INTO erase_learner_v2.holds
          FROM open_holds_v1(erase_learner_v2.account, erase_learner_v2.learner) h;
        RETURN;
    END IF;
    SELECT coalesce(array_agg(c.position), '{}') INTO found
      FROM event_content c
     WHERE c.account_id = erase_learner_v2.account AND c.position > seen
       AND c.subject_id = erase_learner_v2.learner;
    SELECT coalesce(array_agg(c.position), '{}') INTO doomed
      FROM unnest(doomed || found) AS u (position)
      JOIN event_content c ON c.account_id = erase_learner_v2.account
       AND c.position = u.position;

    WITH named AS (
        UPDATE users u SET name = '[erased]'
         WHERE u.account_id = erase_learner_v2.account AND u.user_id = erase_learner_v2.learner
           AND u.name <> '[erased]'
        RETURNING 1
    ), known AS (
        DELETE FROM identities i
         WHERE i.account_id = erase_learner_v2.account AND i.user_id = erase_learner_v2.learner
        RETURNING 1
    ), let_in AS (
        UPDATE tokens t SET revoked_at = clock_timestamp()
         WHERE t.account_id = erase_learner_v2.account AND t.user_id = erase_learner_v2.learner
           AND t.revoked_at IS NULL
        RETURNING 1
    ), told AS (
        DELETE FROM request_secrets s
         WHERE s.account_id = erase_learner_v2.account AND s.user_id = erase_learner_v2.learner
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM named), (SELECT count(*) FROM known),
           (SELECT count(*) FROM let_in), cardinality(doomed), (SELECT count(*) FROM told)
      INTO erase_learner_v2.names, erase_learner_v2.identities, erase_learner_v2.tokens,
           erase_learner_v2.texts, secrets;
    IF erase_learner_v2.names + erase_learner_v2.identities + erase_learner_v2.tokens
       + erase_learner_v2.texts + secrets = 0 THEN
        erase_learner_v2.outcome := 'nothing';
        erase_learner_v2.conversations := 0;
        RETURN;
    END IF;

    erase_learner_v2.conversations := record_expiry_v1(
        erase_learner_v2.account, doomed, NULL, erase_learner_v2.metadata);
    PERFORM append_facts_v1(
        erase_learner_v2.account,
        ARRAY['learner-' || erase_learner_v2.learner],
        ARRAY[jsonb_build_object(
            'type', 'learner_erased.v1', 'user_id', erase_learner_v2.learner,
            'reason', erase_learner_v2.reason, 'texts', erase_learner_v2.texts,
            'conversations', erase_learner_v2.conversations, 'names', erase_learner_v2.names,
            'identities', erase_learner_v2.identities, 'tokens', erase_learner_v2.tokens)],
        erase_learner_v2.metadata);
    IF cardinality(doomed) > 0 THEN
        DELETE FROM event_content c
         WHERE c.account_id = erase_learner_v2.account AND c.position = ANY (doomed);
    END IF;
    erase_learner_v2.outcome := 'erased';
END
$$;

-- For processes of the release before.
CREATE OR REPLACE FUNCTION erase_learner_v1(
    account bigint, learner bigint, reason text, metadata jsonb,
    OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint,
    OUT names bigint, OUT identities bigint, OUT tokens bigint
)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT e.* FROM erase_learner_v2(erase_learner_v1.account, erase_learner_v1.learner,
                                     erase_learner_v1.reason, erase_learner_v1.metadata, NULL) e
$$;

-- As find_token_account_v1, but of a token that works: for others no body is waited for.
CREATE FUNCTION find_token_account_v2(token_hash bytea) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT t.account_id FROM tokens t
     WHERE t.token_hash = find_token_account_v2.token_hash AND t.revoked_at IS NULL
       AND (t.expires_at IS NULL OR t.expires_at > clock_timestamp())
$$;

GRANT EXECUTE ON FUNCTION append_events_v2, erase_learner_v2 TO colloquy_service;
GRANT EXECUTE ON FUNCTION find_token_account_v2 TO colloquy_worker;
