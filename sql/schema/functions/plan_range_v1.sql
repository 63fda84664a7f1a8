CREATE OR REPLACE FUNCTION public.plan_range_v1(projection projections, positions bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    kept boolean := projection.state = 'live' AND NOT projection.confined AND positions <= 1000;
BEGIN
    PERFORM set_config('plan_cache_mode',
                       CASE WHEN kept THEN 'force_generic_plan' ELSE 'force_custom_plan' END, true);
    PERFORM set_config(setting, CASE WHEN kept THEN 'off' ELSE 'on' END, true)
       FROM unnest(ARRAY['enable_seqscan', 'enable_bitmapscan']) AS setting;
END
$function$;
