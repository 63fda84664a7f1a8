CREATE OR REPLACE FUNCTION public.drop_analyst_v1(role_name name)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF EXISTS (SELECT FROM pg_roles r WHERE r.rolname = drop_analyst_v1.role_name) THEN
        EXECUTE format('DROP OWNED BY %I', role_name);
        EXECUTE format('DROP ROLE %I', role_name);
    END IF;
    DELETE FROM analysts a WHERE a.role_name = drop_analyst_v1.role_name;
END
$function$;
