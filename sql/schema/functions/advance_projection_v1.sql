CREATE OR REPLACE FUNCTION public.advance_projection_v1(name text, generation integer, account bigint, step bigint)
 RETURNS TABLE(reached bigint, head bigint)
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    advanced projections%ROWTYPE;
    behind   bigint;
    log_head bigint;
    target   bigint;
BEGIN
    -- Rows and checkpoint are lost together or not at all, and can be made again.
    PERFORM set_config('synchronous_commit', 'off', true);
    SELECT * INTO advanced FROM projections p
     WHERE p.name = advance_projection_v1.name
       AND p.generation = advance_projection_v1.generation
       FOR KEY SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO projection_checkpoints AS c (name, generation, account_id)
    VALUES (advance_projection_v1.name, advance_projection_v1.generation,
            advance_projection_v1.account)
        ON CONFLICT DO NOTHING;
    SELECT c.position INTO behind FROM projection_checkpoints c
     WHERE c.name = advance_projection_v1.name
       AND c.generation = advance_projection_v1.generation
       AND c.account_id = advance_projection_v1.account
       FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF advanced.state = 'live' AND EXISTS (SELECT FROM projection_pauses z
                                            WHERE z.name = advance_projection_v1.name) THEN
        RETURN;
    END IF;
    SELECT h.position INTO log_head FROM log_heads h
     WHERE h.account_id = advance_projection_v1.account;
    target := least(log_head, behind + advance_projection_v1.step);
    IF target > behind THEN
        PERFORM plan_range_v1(advanced, target - behind);
        PERFORM apply_range_v1(advanced, advance_projection_v1.account, behind, target);
        UPDATE projection_checkpoints c
           SET position = target, moved_at = clock_timestamp(), error = NULL,
               error_position = NULL, error_at = NULL
         WHERE c.name = advance_projection_v1.name
           AND c.generation = advance_projection_v1.generation
           AND c.account_id = advance_projection_v1.account;
    END IF;
    RETURN QUERY SELECT target, log_head;
END
$function$;
