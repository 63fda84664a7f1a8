CREATE OR REPLACE FUNCTION public.keep_statistics_v1(target_schema text, kept boolean)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    built regclass;
BEGIN
    FOR built IN SELECT c.oid FROM pg_class c
                  WHERE c.relnamespace = to_regnamespace(quote_ident(target_schema))
                    AND c.relkind = 'r' LOOP
        IF kept THEN
            EXECUTE format('ALTER TABLE %s RESET (autovacuum_enabled)', built);
        ELSE
            EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', built);
        END IF;
    END LOOP;
END
$function$;
