-- Whether the learner's messages have an answer, by the last event of the range that says so. That
-- of a turn's request or end is about the learner's last message before it.
INSERT INTO conversation_messages AS m (
    account_id, conversation_id, position, ordinal, message_id, turn_id, role, text, created_at,
    revision, state, code, retryable)
SELECT n.account_id, n.conversation_id, n.position, n.ordinal, n.message_id, n.turn_id, n.role,
       n.text, n.created_at, n.revision, n.state, n.code, n.retryable
  FROM (SELECT DISTINCT ON (k.conversation_id, k.position)
               k.account_id, k.conversation_id, k.position, k.ordinal, k.message_id,
               coalesce(first_value(s.turn_id) OVER (
                            PARTITION BY k.conversation_id, k.position
                            ORDER BY s.turn_id IS NULL, s.position DESC), k.turn_id) AS turn_id,
               k.role, k.text, k.created_at, s.revision, s.state, s.code, s.retryable
          FROM (SELECT e.conversation_id, e.position, e.revision, NULL::text AS message_id,
                       (e.data->>'turn_id')::uuid AS turn_id,
                       CASE e.type WHEN 'reply_failed.v1' THEN 'unanswered'
                                   WHEN 'reply_cancelled.v1' THEN 'stopped' END AS state,
                       CASE e.type WHEN 'reply_failed.v1' THEN e.data->>'code'
                                   WHEN 'reply_cancelled.v1' THEN 'cancelled' END AS code,
                       CASE e.type WHEN 'reply_failed.v1'
                                   THEN coalesce((e.data->>'retryable')::boolean, true)
                                   WHEN 'reply_cancelled.v1' THEN true END AS retryable
                  FROM events e
                 WHERE e.account_id = apply.account
                   AND e.position > apply.after_position AND e.position <= apply.upto_position
                   AND (e.type = 'message_retried.v1'
                        OR e.type IN ('reply_failed.v1', 'reply_cancelled.v1')
                       AND e.data->>'kept' = 'true')
                 UNION ALL
                SELECT e.conversation_id, e.position, e.revision, a.message_id, NULL, NULL, NULL,
                       NULL
                  FROM events e,
                       LATERAL jsonb_array_elements_text(e.data->'answers') a (message_id)
                 WHERE e.account_id = apply.account
                   AND e.position > apply.after_position AND e.position <= apply.upto_position
                   AND e.type = 'reply_completed.v1' AND e.data->'answers' <> '[]') s
         CROSS JOIN LATERAL (
               SELECT r.* FROM conversation_messages r
                WHERE r.account_id = apply.account AND r.conversation_id = s.conversation_id
                  AND r.position < s.position AND r.role = 'User'
                  AND r.message_id = coalesce(s.message_id::uuid, r.message_id)
                ORDER BY r.position DESC, r.ordinal DESC
                LIMIT 1) k
         ORDER BY k.conversation_id, k.position, s.position DESC) n
    ON CONFLICT (account_id, conversation_id, position, ordinal) DO UPDATE SET
       turn_id = excluded.turn_id, revision = excluded.revision, state = excluded.state,
       code = excluded.code, retryable = excluded.retryable;
