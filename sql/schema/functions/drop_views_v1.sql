CREATE OR REPLACE FUNCTION public.drop_views_v1(name text)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    shown record;
BEGIN
    FOR shown IN SELECT v.* FROM projections p
                  CROSS JOIN LATERAL stable_views_v1(p.name, p.generation) v
                  WHERE p.name = drop_views_v1.name AND p.state = 'live' LOOP
        EXECUTE format('DROP VIEW %I.%I', shown.stable_schema, shown.view_name);
    END LOOP;
END
$function$;
