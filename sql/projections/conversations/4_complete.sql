UPDATE conversations c
   SET workflow_state = 'completed', completed_at = e.recorded_at,
       shown_revision = greatest(c.shown_revision, e.revision)
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_completed.v1'
   AND c.account_id = e.account_id AND c.conversation_id = e.conversation_id;
