-- Of several votes in the range the last one counts, unless it was withdrawn.
DELETE FROM message_feedback f
 WHERE f.ctid = ANY (ARRAY(
       SELECT k.ctid
         FROM events e
        CROSS JOIN LATERAL (
              SELECT r.ctid FROM message_feedback r
               WHERE r.account_id = apply.account AND r.conversation_id = e.conversation_id
                 AND r.user_id = (e.data->>'user_id')::bigint
                 AND r.message_id = (e.data->>'message_id')::uuid
              OFFSET 0) k
        WHERE e.account_id = apply.account
          AND e.position > apply.after_position AND e.position <= apply.upto_position
          AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')));
