CREATE OR REPLACE FUNCTION public.watch_analyst_v1(role_name name)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF NOT pg_has_role(current_user, role_name, 'USAGE') THEN
        EXECUTE format('GRANT %I TO %I', role_name, current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
    NULL;  -- whoever made it must end them
END
$function$;
