UPDATE evaluations m
   SET evaluation = NULL
 WHERE m.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid FROM evaluations r
               WHERE r.account_id = apply.account AND r.conversation_id = e.conversation_id
                 AND r.position < e.position
              OFFSET 0) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type = 'text_expired.v1'));
