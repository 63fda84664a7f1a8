-- What the rows of a live projection stand for, in each account.
SELECT h.account_id,
       CASE WHEN p.mode = 'inline' THEN h.position ELSE coalesce(c.position, 0) END AS position
  FROM projections p
 CROSS JOIN log_heads h
  LEFT JOIN projection_checkpoints c
         ON c.name = p.name AND c.generation = p.generation AND c.account_id = h.account_id
 WHERE p.name = $1 AND p.state = 'live'
 ORDER BY h.account_id
