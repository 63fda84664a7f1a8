CREATE OR REPLACE FUNCTION public.open_holds_v1(account bigint, learner bigint)
 RETURNS SETOF bigint
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT (p.data->>'hold_id')::bigint
      FROM events p
     WHERE p.account_id = open_holds_v1.account
       AND p.stream = 'learner-' || open_holds_v1.learner
       AND p.type = 'hold_placed.v1'
       AND NOT EXISTS (
           SELECT FROM events r
            WHERE r.account_id = p.account_id AND r.stream = p.stream
              AND r.type = 'hold_released.v1' AND r.data->'hold_id' = p.data->'hold_id')
     ORDER BY 1
$function$;
