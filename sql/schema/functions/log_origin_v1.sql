CREATE OR REPLACE FUNCTION public.log_origin_v1(account bigint)
 RETURNS text
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT o.origin
      FROM log_origins o
     WHERE o.account_id = log_origin_v1.account
     ORDER BY o.since_size DESC
     LIMIT 1
$function$;
