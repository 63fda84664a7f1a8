CREATE OR REPLACE FUNCTION public.validate_constraint_v1(constrained regclass, name name)
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', constrained, name);
    RETURN true;
EXCEPTION WHEN check_violation THEN
    RETURN false;
END
$function$;
