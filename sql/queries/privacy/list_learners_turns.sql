-- Requests to a model under way about a learner, whom the first event of a dialogue or evaluation
-- names.
SELECT p.stream
  FROM read.pending_turns p
 CROSS JOIN LATERAL (
       SELECT e.data->>'user_id' AS user_id FROM events e
        WHERE e.account_id = $1 AND e.stream = p.stream AND e.revision = 1
       OFFSET 0) asked
 WHERE p.account_id = $1 AND asked.user_id::bigint = $2
 ORDER BY p.stream
