-- What a model is being asked of a learner. The first event of a dialogue, and of an evaluation,
-- names them.
SELECT p.stream
  FROM read.pending_turns p
 CROSS JOIN LATERAL (
       SELECT e.data->>'user_id' AS user_id FROM events e
        WHERE e.account_id = $1 AND e.stream = p.stream AND e.revision = 1
       OFFSET 0) asked
 WHERE p.account_id = $1 AND asked.user_id::bigint = $2
 ORDER BY p.stream
