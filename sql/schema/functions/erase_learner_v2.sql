CREATE OR REPLACE FUNCTION public.erase_learner_v2(account bigint, learner bigint, reason text, metadata jsonb, guard jsonb, OUT outcome text, OUT holds bigint[], OUT texts bigint, OUT conversations bigint, OUT names bigint, OUT identities bigint, OUT tokens bigint)
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
$function$;
