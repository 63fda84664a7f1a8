CREATE OR REPLACE FUNCTION public.clear_rebuilds_v1()
 RETURNS boolean
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    unfinished record;
BEGIN
    FOR unfinished IN SELECT p.name, p.generation FROM projections p
                       WHERE p.state = 'building' AND 'text_expired.v1' = ANY (p.consumes) LOOP
        IF NOT pg_try_advisory_xact_lock(
            hashtextextended('colloquy rebuild ' || unfinished.name, 0)) THEN
            RETURN false;
        END IF;
        PERFORM drop_generation_v1(unfinished.name, unfinished.generation);
    END LOOP;
    RETURN true;
END
$function$;
