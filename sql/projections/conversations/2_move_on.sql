UPDATE conversations c
   SET updated_at = r.latest,
       completed_at = coalesce(r.completed_at, c.completed_at),
       workflow_state = CASE WHEN r.completed_at IS NULL THEN c.workflow_state ELSE 'completed' END
  FROM (SELECT e.conversation_id, max(e.recorded_at) AS latest,
               max(e.recorded_at) FILTER (WHERE e.type = 'conversation_completed.v1') AS completed_at
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('message_posted.v1', 'reply_completed.v1', 'reply_failed.v1',
                          'reply_cancelled.v1', 'conversation_completed.v1')
         GROUP BY e.conversation_id) r
 WHERE c.account_id = apply.account AND c.conversation_id = r.conversation_id;
