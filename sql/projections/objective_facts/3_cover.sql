-- A judgement may come late, when the learner has said more. So its turn is looked for from there
-- back, and its number is that of all messages less those that came after it.
INSERT INTO objective_facts AS o (
    account_id, conversation_id, objective, course_id, experience_id, experience_version,
    user_id, started_at, covered_at, turn_id, turn_number, evidence_message_id, position)
SELECT k.account_id, k.conversation_id, k.objective, k.course_id, k.experience_id,
       k.experience_version, k.user_id, k.started_at, f.recorded_at, f.turn_id::uuid,
       CASE WHEN asked.position IS NOT NULL THEN
            (SELECT c.turns FROM conversation_turns c
              WHERE c.account_id = apply.account AND c.conversation_id = f.conversation_id)
            - (SELECT count(*) FROM events p
                WHERE p.account_id = apply.account AND p.conversation_id = f.conversation_id
                  AND p.position > asked.position AND p.position <= apply.upto_position
                  AND p.type = 'message_posted.v1') END,
       f.message_id::uuid, f.position
  FROM (SELECT DISTINCT ON (e.conversation_id, c.value->>'objective')
               e.conversation_id, (c.value->>'objective')::bigint AS objective,
               c.value->>'message_id' AS message_id, e.data->>'turn_id' AS turn_id,
               e.recorded_at, e.position
          FROM events e
         CROSS JOIN LATERAL jsonb_array_elements(e.data->'covered') AS c (value)
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'objectives_assessed.v1' AND e.data->'covered' <> '[]'
         ORDER BY e.conversation_id, c.value->>'objective', e.position) f
 CROSS JOIN LATERAL (
       SELECT r.* FROM objective_facts r
        WHERE r.account_id = apply.account
          AND r.conversation_id = f.conversation_id AND r.objective = f.objective
       OFFSET 0) k
  LEFT JOIN LATERAL (
       SELECT p.position FROM events p
        WHERE p.account_id = apply.account AND p.conversation_id = f.conversation_id
          AND p.position < f.position
          AND p.type IN ('message_posted.v1', 'message_retried.v1')
          AND p.data->>'turn_id' = f.turn_id
        ORDER BY p.position DESC
        LIMIT 1) asked ON true
    ON CONFLICT (account_id, conversation_id, objective) DO UPDATE SET
       covered_at = excluded.covered_at, turn_id = excluded.turn_id,
       turn_number = excluded.turn_number,
       evidence_message_id = excluded.evidence_message_id, position = excluded.position
 WHERE o.covered_at IS NULL;
