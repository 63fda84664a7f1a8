SELECT p.name, p.generation, h.account_id, h.position AS head,
       h.position - coalesce(c.position, 0) AS behind,
       c.error IS NOT NULL AS stopped
  FROM projections p
 CROSS JOIN log_heads h
  LEFT JOIN projection_checkpoints c
         ON c.name = p.name AND c.generation = p.generation AND c.account_id = h.account_id
 WHERE p.state = 'live' AND p.mode = 'followed' AND h.position > coalesce(c.position, 0)
   AND NOT EXISTS (SELECT FROM projection_pauses z WHERE z.name = p.name)
 ORDER BY p.name, h.account_id
