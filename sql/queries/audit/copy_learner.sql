-- Lines with positions ($2, $3] of a learner: all their conversations, holds and erasures. Without
-- their actions in conversations of others, which hold others' texts, and without reads: auditors'
-- requests and reasons reveal other learners.
SELECT e.position, coalesce(c.subject_id, 0), event_line_v1(e), c.salt, c.content
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
 WHERE e.account_id = $1 AND e.position > $2 AND e.position <= $3
   AND e.type <> 'history_read.v1'
   AND (e.conversation_id IS NULL AND e.data->'user_id' = to_jsonb($4::bigint)
        OR e.conversation_id IN (SELECT s.conversation_id FROM events s
                                  WHERE s.account_id = $1 AND s.position <= $3
                                    AND s.type IN ('opening_requested.v1', 'message_posted.v1')
                                    AND s.data->'user_id' = to_jsonb($4::bigint)))
 ORDER BY e.position
