CREATE OR REPLACE FUNCTION public.granted_accounts_v1()
 RETURNS bigint[]
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT coalesce(array_agg(a.account_id), '{}')
      FROM accounts a
     WHERE (pg_has_role(session_user, current_user, 'MEMBER')
            OR EXISTS (SELECT FROM analyst_accounts g
                        WHERE g.role_name = session_user AND g.account_id = a.account_id))
       AND (current_account_v1() IS NULL OR a.account_id = current_account_v1())
$function$;
