CREATE OR REPLACE FUNCTION public.find_position_v1(account bigint, moment timestamp with time zone, inclusive boolean)
 RETURNS bigint
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    low     bigint := 0;
    high    bigint;
    middle  bigint;
    earlier boolean;
BEGIN
    SELECT h.position INTO high FROM log_heads h
     WHERE h.account_id = find_position_v1.account;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        SELECT e.recorded_at < find_position_v1.moment
               OR find_position_v1.inclusive AND e.recorded_at = find_position_v1.moment
          INTO earlier
          FROM events e
         WHERE e.account_id = find_position_v1.account AND e.position = middle;
        IF earlier THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END
$function$;
