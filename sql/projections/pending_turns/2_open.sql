-- NOT IN, since it is looked up in a hash whatever the joins may be.
INSERT INTO pending_turns (account_id, turn_id, stream, owner, deadline_at)
SELECT o.account_id, (o.data->>'turn_id')::uuid, o.stream, (o.data->>'owner')::bigint,
       (o.data->>'deadline_at')::timestamptz
  FROM events o
 WHERE o.account_id = apply.account
   AND o.position > apply.after_position AND o.position <= apply.upto_position
   AND o.type IN ('opening_requested.v1', 'message_posted.v1', 'evaluation_requested.v1')
   AND o.data->>'turn_id' NOT IN (
       SELECT e.data->>'turn_id'
         FROM events e
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type IN ('opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                         'reply_failed.v1', 'reply_cancelled.v1',
                         'evaluation_recorded.v1', 'evaluation_failed.v1'));
