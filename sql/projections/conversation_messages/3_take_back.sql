-- Events of releases that took unanswered messages back. While a reply is under way nothing else is
-- said: its message is the last one before its end.
DELETE FROM conversation_messages m
 WHERE m.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid, r.turn_id FROM conversation_messages r
               WHERE r.account_id = apply.account AND r.conversation_id = e.conversation_id
                 AND r.position < e.position
               ORDER BY r.position DESC, r.ordinal DESC
               LIMIT 1) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type IN ('reply_failed.v1', 'reply_cancelled.v1')
          AND coalesce(e.data->>'kept', 'false') = 'false'
          AND k.turn_id = (e.data->>'turn_id')::uuid));
