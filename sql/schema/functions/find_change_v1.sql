CREATE OR REPLACE FUNCTION public.find_change_v1(account bigint, guard jsonb)
 RETURNS text
 LANGUAGE plpgsql
 STRICT
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
$function$;
