-- Runs for ranges of the log: apply.account, after apply.after_position, up to apply.upto_position.
INSERT INTO NAME AS n (account_id, course_id, hour, messages, position)
SELECT e.account_id, (e.data->>'course_id')::bigint, date_trunc('hour', e.recorded_at),
       count(*), max(e.position)
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'message_posted.v1'
 GROUP BY 1, 2, 3
    ON CONFLICT (account_id, course_id, hour)
    DO UPDATE SET messages = n.messages + excluded.messages, position = excluded.position;
