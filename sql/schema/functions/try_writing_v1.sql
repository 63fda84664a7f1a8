CREATE OR REPLACE FUNCTION public.try_writing_v1()
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT FROM schema_migrations m WHERE m.number = 1 FOR UPDATE
$function$;
