DELETE FROM active_conversations a
 WHERE a.account_id = apply.account
   AND a.conversation_id = ANY (ARRAY(
       SELECT e.conversation_id FROM events e
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type = 'conversation_completed.v1'));
