DELETE FROM active_conversations a
 WHERE a.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid FROM active_conversations r
               WHERE r.account_id = apply.account AND r.conversation_id = e.conversation_id
              OFFSET 0) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type = 'conversation_completed.v1'));
