-- Lines of a conversation with positions ($2, $3], without reads of it: auditors' requests and
-- reasons reveal other learners.
SELECT e.position, coalesce(c.subject_id, 0), event_line_v1(e), c.salt, c.content
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
 WHERE e.account_id = $1 AND e.position > $2 AND e.position <= $3 AND e.conversation_id = $4
   AND e.type <> 'history_read.v1'
 ORDER BY e.position
