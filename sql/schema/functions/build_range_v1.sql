CREATE OR REPLACE FUNCTION public.build_range_v1(name text, generation integer, account bigint, after_position bigint, upto_position bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    built projections%ROWTYPE;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
    SELECT * INTO STRICT built FROM projections p
     WHERE p.name = build_range_v1.name AND p.generation = build_range_v1.generation
       AND p.state = 'building';
    PERFORM apply_range_v1(built, build_range_v1.account, build_range_v1.after_position,
                           build_range_v1.upto_position);
END
$function$;
