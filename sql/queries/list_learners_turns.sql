-- What a model is being asked of a learner. The first event of a dialogue, and of an evaluation,
-- names them.
SELECT p.stream
  FROM read.pending_turns p
  JOIN events e ON e.account_id = p.account_id AND e.stream = p.stream AND e.revision = 1
 WHERE p.account_id = $1 AND (e.data->>'user_id')::bigint = $2
 ORDER BY p.stream
