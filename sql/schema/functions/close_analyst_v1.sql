CREATE OR REPLACE FUNCTION public.close_analyst_v1(role_name name)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    DELETE FROM analyst_accounts g WHERE g.role_name = close_analyst_v1.role_name;
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = close_analyst_v1.role_name) THEN
        EXECUTE format('ALTER ROLE %I NOLOGIN', role_name);
        -- Who made a role may alter it, and ends its sessions as a member of it.
        IF NOT pg_has_role(current_user, role_name, 'USAGE') THEN
            EXECUTE format('GRANT %I TO %I', role_name, current_user);
        END IF;
    END IF;
END
$function$;
