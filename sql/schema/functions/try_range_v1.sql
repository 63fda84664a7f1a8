CREATE OR REPLACE FUNCTION public.try_range_v1(name text, generation integer, account bigint, after_position bigint, upto_position bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    tried text;
BEGIN
    SELECT p.schema_name INTO STRICT tried FROM projections p
     WHERE p.name = try_range_v1.name AND p.generation = try_range_v1.generation
       AND p.state = 'building';
    PERFORM set_config('colloquy.account', try_range_v1.account::text, true);
    EXECUTE format('SELECT %I.apply($1, $2, $3)', tried)
      USING try_range_v1.account, try_range_v1.after_position, try_range_v1.upto_position;
END
$function$;
