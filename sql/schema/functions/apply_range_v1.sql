CREATE OR REPLACE FUNCTION public.apply_range_v1(projection projections, account bigint, after_position bigint, upto_position bigint)
 RETURNS void
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    types text[];
BEGIN
    types := ARRAY(SELECT DISTINCT e.type FROM events e
                    WHERE e.account_id = apply_range_v1.account
                      AND e.position > apply_range_v1.after_position
                      AND e.position <= apply_range_v1.upto_position
                      AND e.type = ANY (apply_range_v1.projection.consumes));
    IF types = '{}' THEN
        RETURN;
    END IF;
    IF apply_range_v1.projection.confined THEN
        -- It sees the events of this account only.
        PERFORM set_config('colloquy.account', apply_range_v1.account::text, true);
    END IF;
    IF apply_range_v1.projection.typed THEN
        EXECUTE format('SELECT %I.apply($1, $2, $3, $4)', apply_range_v1.projection.schema_name)
          USING apply_range_v1.account, apply_range_v1.after_position,
                apply_range_v1.upto_position, types;
    ELSE
        EXECUTE format('SELECT %I.apply($1, $2, $3)', apply_range_v1.projection.schema_name)
          USING apply_range_v1.account, apply_range_v1.after_position,
                apply_range_v1.upto_position;
    END IF;
END
$function$;
