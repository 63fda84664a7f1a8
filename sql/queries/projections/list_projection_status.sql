SELECT p.name, p.version, p.generation, p.mode, p.state, p.account_id, p.position, p.head,
       p.lag_seconds, p.error, p.error_position, p.error_type, p.error_at, p.paused
  FROM projection_positions p
 ORDER BY p.name, p.generation, p.account_id
