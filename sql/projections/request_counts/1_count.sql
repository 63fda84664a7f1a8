INSERT INTO request_counts AS c (account_id, user_id, day, kind, requests)
SELECT e.account_id, (e.metadata->'actor'->>'id')::bigint,
       (e.recorded_at AT TIME ZONE 'UTC')::date,
       CASE e.type WHEN 'opening_requested.v1' THEN 'create'
                   WHEN 'message_posted.v1' THEN 'message'
                   WHEN 'message_retried.v1' THEN 'message'
                   WHEN 'feedback_given.v1' THEN 'feedback'
                   ELSE 'evaluation' END,
       count(*)
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('opening_requested.v1', 'message_posted.v1', 'message_retried.v1',
                  'evaluation_requested.v1', 'feedback_given.v1')
   AND e.metadata->'actor'->>'id' IS NOT NULL
 GROUP BY 1, 2, 3, 4
    ON CONFLICT (account_id, user_id, day, kind)
    DO UPDATE SET requests = c.requests + excluded.requests;
