-- Who owns a turn from now on, by the last event of the range that says so; nobody where it was
-- released.
INSERT INTO pending_turns AS p (account_id, turn_id, stream, owner, deadline_at)
SELECT k.account_id, k.turn_id, k.stream, n.owner, coalesce(n.deadline_at, k.deadline_at)
  FROM (SELECT DISTINCT ON (e.data->>'turn_id')
               (e.data->>'turn_id')::uuid AS turn_id,
               CASE e.type WHEN 'turn_taken_over.v1' THEN (e.data->>'owner')::bigint END AS owner,
               max((e.data->>'deadline_at')::timestamptz) OVER (PARTITION BY e.data->>'turn_id')
               AS deadline_at
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('turn_taken_over.v1', 'turn_released.v1')
         ORDER BY e.data->>'turn_id', e.position DESC) n
 CROSS JOIN LATERAL (
       SELECT r.* FROM pending_turns r
        WHERE r.account_id = apply.account AND r.turn_id = n.turn_id
       OFFSET 0) k
    ON CONFLICT (account_id, turn_id) DO UPDATE SET
       owner = excluded.owner, deadline_at = excluded.deadline_at;
