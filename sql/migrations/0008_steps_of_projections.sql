-- advance_projection_v1 as before, but that its steps need not be flushed, and are planned anew.
CREATE OR REPLACE FUNCTION advance_projection_v1(name text, generation int, account bigint, step bigint)
RETURNS TABLE (reached bigint, head bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    target_schema text;
    behind        bigint;
    log_head      bigint;
    target        bigint;
BEGIN
    -- Rows and checkpoint are lost together or not at all, and can be made again.
    PERFORM set_config('synchronous_commit', 'off', true);
    -- The tables grow between two steps: no plan is right for long.
    PERFORM set_config('plan_cache_mode', 'force_custom_plan', true);
    SELECT p.schema_name INTO target_schema FROM projections p
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
    SELECT h.position INTO log_head FROM log_heads h
     WHERE h.account_id = advance_projection_v1.account;
    target := least(log_head, behind + advance_projection_v1.step);
    IF target > behind THEN
        EXECUTE format('SELECT %I.apply($1, $2, $3)', target_schema)
          USING advance_projection_v1.account, behind, target;
        UPDATE projection_checkpoints c
           SET position = target, moved_at = clock_timestamp(), error = NULL
         WHERE c.name = advance_projection_v1.name
           AND c.generation = advance_projection_v1.generation
           AND c.account_id = advance_projection_v1.account;
    END IF;
    RETURN QUERY SELECT target, log_head;
END
$$;
