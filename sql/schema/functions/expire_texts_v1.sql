CREATE OR REPLACE FUNCTION public.expire_texts_v1(account bigint, rules jsonb, metadata jsonb, OUT outcome text, OUT texts bigint, OUT conversations bigint, OUT held bigint[])
 RETURNS record
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET plan_cache_mode TO 'force_custom_plan'
AS $function$
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
$function$;
