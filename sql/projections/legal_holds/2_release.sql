UPDATE legal_holds h
   SET released_at = e.recorded_at, release_reason = e.data->>'reason'
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'hold_released.v1'
   AND h.account_id = e.account_id AND h.hold_id = (e.data->>'hold_id')::bigint;
