CREATE VIEW projection_positions AS
 SELECT p.name,
    p.version,
    p.generation,
    p.mode,
    p.state,
    p.stable_schema,
    h.account_id,
    applied."position",
    h."position" AS head,
    h."position" - applied."position" AS lag_events,
        CASE
            WHEN waiting.recorded_at IS NOT NULL THEN GREATEST(0::double precision, EXTRACT(epoch FROM statement_timestamp() - waiting.recorded_at)::double precision)
            ELSE NULL::double precision
        END AS lag_seconds,
    c.error,
    c.error_position,
    poison.type AS error_type,
    c.error_at,
    z.name IS NOT NULL AS paused
   FROM projections p
     CROSS JOIN log_heads h
     LEFT JOIN projection_checkpoints c ON c.name = p.name AND c.generation = p.generation AND c.account_id = h.account_id
     CROSS JOIN LATERAL ( SELECT
                CASE
                    WHEN p.mode = 'inline'::text AND p.state = 'live'::text THEN h."position"
                    ELSE COALESCE(c."position", 0::bigint)
                END AS "position") applied
     LEFT JOIN projection_pauses z ON z.name = p.name AND p.state = 'live'::text
     LEFT JOIN events waiting ON waiting.account_id = h.account_id AND waiting."position" = (applied."position" + 1)
     LEFT JOIN events poison ON poison.account_id = c.account_id AND poison."position" = c.error_position;
