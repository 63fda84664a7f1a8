CREATE OR REPLACE FUNCTION public.close_doors_v1()
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    PERFORM close_functions_v1();
    IF (SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database d
         WHERE d.datname = current_database()) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    END IF;
END
$function$;
