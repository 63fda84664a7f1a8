CREATE OR REPLACE FUNCTION public.pad_secret_v1(secret bytea, pad integer)
 RETURNS bytea
 LANGUAGE sql
 IMMUTABLE STRICT
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT string_agg(
               set_byte('\x00', 0, pad_secret_v1.pad
                   # CASE WHEN n < 32 THEN get_byte(pad_secret_v1.secret, n) ELSE 0 END),
               '' ORDER BY n)
      FROM generate_series(0, 63) n
$function$;
