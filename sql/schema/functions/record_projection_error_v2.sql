CREATE OR REPLACE FUNCTION public.record_projection_error_v2(name text, generation integer, account bigint, message text)
 RETURNS bigint
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO projection_checkpoints AS c (name, generation, account_id, error, error_position,
                                             error_at)
    SELECT p.name, p.generation, record_projection_error_v2.account,
           record_projection_error_v2.message, 1, clock_timestamp()
      FROM projections p
     WHERE p.name = record_projection_error_v2.name
       AND p.generation = record_projection_error_v2.generation
        ON CONFLICT (name, generation, account_id)
        DO UPDATE SET error = excluded.error, error_position = c.position + 1,
                      error_at = excluded.error_at
    RETURNING c.error_position
$function$;
