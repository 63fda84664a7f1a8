UPDATE conversations c
   SET shown_revision = greatest(c.shown_revision, n.revision)
  FROM (SELECT e.conversation_id, max(e.revision) AS revision
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')
         GROUP BY e.conversation_id) n
 WHERE c.account_id = apply.account AND c.conversation_id = n.conversation_id;
