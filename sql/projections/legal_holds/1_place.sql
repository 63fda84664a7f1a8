INSERT INTO legal_holds (account_id, hold_id, user_id, reason, placed_at)
SELECT e.account_id, (e.data->>'hold_id')::bigint, (e.data->>'user_id')::bigint,
       e.data->>'reason', e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'hold_placed.v1';
