-- A step holds the row of its checkpoint until it ends; those that begin later see the pause.
SELECT c.account_id
  FROM projection_checkpoints c
  JOIN projections p ON p.name = c.name AND p.generation = c.generation
 WHERE c.name = $1 AND p.state = 'live'
   FOR UPDATE OF c
