SELECT p.name, p.generation, p.account_id, p.head, p.lag_events AS behind,
       p.error IS NOT NULL AS stopped
  FROM projection_positions p
 WHERE p.state = 'live' AND p.mode = 'followed' AND p.lag_events > 0 AND NOT p.paused
 ORDER BY p.name, p.account_id
