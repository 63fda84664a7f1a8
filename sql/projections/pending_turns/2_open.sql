-- Only turns that were asked for in the range and did not end in it.
INSERT INTO pending_turns (account_id, turn_id, stream, owner, deadline_at)
SELECT apply.account, (e.data->>'turn_id')::uuid, max(e.stream),
       max((e.data->>'owner')::bigint), max((e.data->>'deadline_at')::timestamptz)
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('opening_requested.v1', 'message_posted.v1', 'message_retried.v1',
                  'evaluation_requested.v1', 'opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                  'reply_failed.v1', 'reply_cancelled.v1',
                  'evaluation_recorded.v1', 'evaluation_failed.v1')
 GROUP BY e.data->>'turn_id'
HAVING every(e.type IN ('opening_requested.v1', 'message_posted.v1', 'message_retried.v1',
                        'evaluation_requested.v1'));
