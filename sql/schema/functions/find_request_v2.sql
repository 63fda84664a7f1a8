CREATE OR REPLACE FUNCTION public.find_request_v2(account bigint, user_id bigint, idempotency_key text)
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
 SET enable_seqscan TO 'off'
AS $function$
    SELECT coalesce(
        (SELECT e.position FROM events e
          WHERE e.account_id = find_request_v2.account AND e.account_id = current_account_v1()
            AND (e.metadata->'actor'->>'id')::bigint = find_request_v2.user_id
            AND e.metadata->>'idempotency_key' = (
                SELECT hash_request_key_v1(
                           s.inner_key, s.outer_key, find_request_v2.idempotency_key)
                  FROM request_secrets s
                 WHERE s.account_id = find_request_v2.account
                   AND s.user_id = find_request_v2.user_id)
            AND e.metadata ? 'idempotency_key'),
        (SELECT e.position FROM events e
          WHERE e.account_id = find_request_v2.account AND e.account_id = current_account_v1()
            AND (e.metadata->'actor'->>'id')::bigint = find_request_v2.user_id
            AND e.metadata->>'idempotency_key' = find_request_v2.idempotency_key
            AND e.metadata ? 'idempotency_key'))
$function$;
