CREATE OR REPLACE FUNCTION public.end_analysts_v1(age interval)
 RETURNS SETOF name
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    WITH old AS MATERIALIZED (
        SELECT s.pid, s.usename
          FROM pg_stat_activity s JOIN analysts a ON a.role_name = s.usename
         WHERE s.xact_start < clock_timestamp() - age
           AND pg_has_role(current_user, s.usename, 'USAGE'))
    SELECT o.usename FROM old o WHERE pg_terminate_backend(o.pid)
$function$;
