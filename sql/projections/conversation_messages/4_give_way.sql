-- What was seen of a reply gives way when its message, the last but one, is asked about again.
DELETE FROM conversation_messages m
 WHERE m.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid, r.turn_id, r.role FROM conversation_messages r
               WHERE r.account_id = apply.account AND r.conversation_id = e.conversation_id
                 AND r.position < e.position
               ORDER BY r.position DESC, r.ordinal DESC
               LIMIT 1) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type = 'message_retried.v1'
          AND k.role = 'Assistant' AND k.turn_id = (e.data->>'retried_turn_id')::uuid));
