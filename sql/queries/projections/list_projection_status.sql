SELECT p.name, p.version, p.generation, p.mode, p.state, h.account_id,
       CASE WHEN p.mode = 'inline' AND p.state = 'live' THEN h.position
            ELSE coalesce(c.position, 0) END AS position,
       h.position AS head, c.error, c.error_position,
       poison.type AS error_type, c.error_at,
       p.state = 'live' AND z.name IS NOT NULL AS paused,
       extract(epoch FROM clock_timestamp() - waiting.recorded_at)::float8 AS lag_seconds
  FROM projections p
 CROSS JOIN log_heads h
  LEFT JOIN projection_checkpoints c
         ON c.name = p.name AND c.generation = p.generation AND c.account_id = h.account_id
  LEFT JOIN projection_pauses z ON z.name = p.name
  LEFT JOIN events waiting
         ON (p.mode = 'followed' OR p.state = 'building')
        AND waiting.account_id = h.account_id
        AND waiting.position = coalesce(c.position, 0) + 1
  LEFT JOIN events poison
         ON poison.account_id = c.account_id AND poison.position = c.error_position
 ORDER BY p.name, p.generation, h.account_id
