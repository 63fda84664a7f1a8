-- The starting prompt (ordinal 0) is nobody's personal text.
UPDATE conversation_messages m
   SET text = NULL
 WHERE m.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid FROM conversation_messages r
               WHERE r.account_id = apply.account AND r.conversation_id = e.conversation_id
                 AND r.position < e.position AND r.ordinal = 1
              OFFSET 0) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type = 'text_expired.v1'));
