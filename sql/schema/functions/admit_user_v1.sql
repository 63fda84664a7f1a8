CREATE OR REPLACE FUNCTION public.admit_user_v1(account bigint, user_id bigint)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO users (account_id, user_id, name)
    SELECT admit_user_v1.account, admit_user_v1.user_id, 'User ' || admit_user_v1.user_id
     WHERE admit_user_v1.account = current_account_v1()
        ON CONFLICT DO NOTHING
$function$;
