INSERT INTO legal_holds AS h (account_id, hold_id, user_id, reason, placed_at, released_at,
                              release_reason)
SELECT DISTINCT ON (k.hold_id)
       k.account_id, k.hold_id, k.user_id, k.reason, k.placed_at, e.recorded_at, e.data->>'reason'
  FROM events e
 CROSS JOIN LATERAL (
       SELECT r.* FROM legal_holds r
        WHERE r.account_id = apply.account AND r.hold_id = (e.data->>'hold_id')::bigint
       OFFSET 0) k
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'hold_released.v1'
 ORDER BY k.hold_id, e.position DESC
    ON CONFLICT (account_id, hold_id) DO UPDATE SET
       released_at = excluded.released_at, release_reason = excluded.release_reason;
