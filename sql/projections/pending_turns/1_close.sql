DELETE FROM pending_turns p
 WHERE p.account_id = apply.account
   AND p.turn_id = ANY (ARRAY(
       SELECT (e.data->>'turn_id')::uuid FROM events e
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type IN ('opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                         'reply_failed.v1', 'reply_cancelled.v1',
                         'evaluation_recorded.v1', 'evaluation_failed.v1')));
