CREATE OR REPLACE FUNCTION public.find_token_account_v1(token_hash bytea)
 RETURNS bigint
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT t.account_id FROM tokens t WHERE t.token_hash = find_token_account_v1.token_hash
$function$;
