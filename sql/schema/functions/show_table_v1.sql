CREATE OR REPLACE FUNCTION public.show_table_v1(source regclass, stable_schema text, view_name text, description text, readers text[])
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    reader text;
    noted  record;
BEGIN
    EXECUTE format('CREATE VIEW %I.%I WITH (security_invoker = true) AS SELECT * FROM %s',
                   stable_schema, view_name, source);
    EXECUTE format('COMMENT ON VIEW %I.%I IS %L', stable_schema, view_name,
                   coalesce(obj_description(source, 'pg_class'), description));
    FOR noted IN SELECT a.attname, col_description(a.attrelid, a.attnum) AS note
                   FROM pg_attribute a
                  WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
                    AND col_description(a.attrelid, a.attnum) IS NOT NULL LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I.%I IS %L', stable_schema, view_name,
                       noted.attname, noted.note);
    END LOOP;
    FOREACH reader IN ARRAY readers LOOP
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', stable_schema, view_name, reader);
    END LOOP;
END
$function$;
