INSERT INTO retention_rules AS r (account_id, course_id, days, set_at)
SELECT DISTINCT ON (e.stream)
       e.account_id, (e.data->>'course_id')::bigint, (e.data->>'days')::bigint, e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'retention_rule_set.v1'
 ORDER BY e.stream, e.revision DESC
    ON CONFLICT (account_id, course_id) DO UPDATE SET days = excluded.days, set_at = excluded.set_at;
