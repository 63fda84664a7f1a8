UPDATE conversations c
   SET text_removed_at = l.recorded_at, text_removed_upto = l.position,
       shown_revision = greatest(c.shown_revision, l.revision)
  FROM (SELECT DISTINCT ON (e.conversation_id)
               e.conversation_id, e.recorded_at, e.position, e.revision
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'text_expired.v1'
         ORDER BY e.conversation_id, e.position DESC) l
 WHERE c.account_id = apply.account AND c.conversation_id = l.conversation_id;
