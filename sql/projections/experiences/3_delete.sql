UPDATE experiences x
   SET workflow_state = 'deleted', updated_at = e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'experience_deleted.v1'
   AND x.account_id = e.account_id AND x.experience_id = (e.data->>'experience_id')::bigint;
