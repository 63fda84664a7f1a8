CREATE OR REPLACE FUNCTION public.current_account_v1()
 RETURNS bigint
 LANGUAGE sql
 STABLE PARALLEL SAFE
AS $function$
    SELECT nullif(current_setting('colloquy.account', true), '')::bigint
$function$;
