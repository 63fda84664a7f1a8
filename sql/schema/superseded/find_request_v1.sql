CREATE OR REPLACE FUNCTION public.find_request_v1(account bigint, user_id bigint, idempotency_key text)
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT find_request_v2(find_request_v1.account, find_request_v1.user_id,
                           find_request_v1.idempotency_key)
$function$;
