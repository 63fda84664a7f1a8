DELETE FROM pending_turns p
 WHERE p.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid FROM pending_turns r
               WHERE r.account_id = apply.account AND r.turn_id = (e.data->>'turn_id')::uuid
              OFFSET 0) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type IN ('opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                         'reply_failed.v1', 'reply_cancelled.v1',
                         'evaluation_recorded.v1', 'evaluation_failed.v1')));
