CREATE OR REPLACE FUNCTION public.visible_accounts_v1()
 RETURNS bigint[]
 LANGUAGE sql
 STABLE
AS $function$
    SELECT CASE current_user WHEN 'colloquy_service' THEN ARRAY[public.current_account_v1()]
                             ELSE public.granted_accounts_v1() END
$function$;
