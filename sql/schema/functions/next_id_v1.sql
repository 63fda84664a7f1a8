CREATE OR REPLACE FUNCTION public.next_id_v1(account bigint, kind text)
 RETURNS bigint
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    given bigint;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    INSERT INTO id_counters AS c (account_id, kind, value)
    VALUES (next_id_v1.account, next_id_v1.kind, 1)
        ON CONFLICT ON CONSTRAINT id_counters_pkey DO UPDATE SET value = c.value + 1
    RETURNING c.value INTO given;
    RETURN given;
END
$function$;
