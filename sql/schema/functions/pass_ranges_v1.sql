CREATE OR REPLACE FUNCTION public.pass_ranges_v1(name text, generation integer, account bigint, upto_position bigint)
 RETURNS void
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO projection_checkpoints (name, generation, account_id, position)
    VALUES (pass_ranges_v1.name, pass_ranges_v1.generation, pass_ranges_v1.account,
            pass_ranges_v1.upto_position)
$function$;
