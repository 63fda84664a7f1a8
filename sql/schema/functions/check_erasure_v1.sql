CREATE OR REPLACE FUNCTION public.check_erasure_v1(account bigint, learner bigint)
 RETURNS text
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
