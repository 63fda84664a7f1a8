-- Asked first, since few judgements find anything; and planned when it is needed.
IF EXISTS (SELECT FROM events e
            WHERE e.account_id = apply.account
              AND e.position > apply.after_position AND e.position <= apply.upto_position
              AND e.type = 'objectives_assessed.v1' AND e.data->'covered' <> '[]') THEN
    -- A judgement may come late, when the learner has said more: its turn is looked up by its id,
    -- among the messages of its conversation.
    -- The row that is there is found by a look-up each, whatever the statistics say.
    INSERT INTO objective_facts AS o (
        account_id, conversation_id, objective, course_id, experience_id, experience_version,
        user_id, started_at, covered_at, turn_id, turn_number, evidence_message_id, position)
    SELECT k.account_id, k.conversation_id, k.objective, k.course_id, k.experience_id,
           k.experience_version, k.user_id, k.started_at, f.recorded_at, f.turn_id::uuid,
           f.turn_number, f.message_id::uuid, f.position
      FROM (SELECT DISTINCT ON (e.conversation_id, c.value->>'objective')
                   e.conversation_id, (c.value->>'objective')::bigint AS objective,
                   c.value->>'message_id' AS message_id, e.data->>'turn_id' AS turn_id,
                   e.recorded_at, e.position,
                   (SELECT m.place
                      FROM (SELECT p.data->>'turn_id' AS turn_id,
                                   row_number() OVER (ORDER BY p.position) AS place
                              FROM events p
                             WHERE p.account_id = apply.account
                               AND p.conversation_id = e.conversation_id
                               AND p.position < e.position
                               AND p.type = 'message_posted.v1') m
                     WHERE m.turn_id = e.data->>'turn_id') AS turn_number
              FROM events e, jsonb_array_elements(e.data->'covered') AS c (value)
             WHERE e.account_id = apply.account
               AND e.position > apply.after_position AND e.position <= apply.upto_position
               AND e.type = 'objectives_assessed.v1' AND e.data->'covered' <> '[]'
             ORDER BY e.conversation_id, c.value->>'objective', e.position) f,
           LATERAL (SELECT r.* FROM objective_facts r
                     WHERE r.account_id = apply.account
                       AND r.conversation_id = f.conversation_id AND r.objective = f.objective
                     LIMIT 1) k
        ON CONFLICT (account_id, conversation_id, objective) DO UPDATE SET
           covered_at = excluded.covered_at, turn_id = excluded.turn_id,
           turn_number = excluded.turn_number,
           evidence_message_id = excluded.evidence_message_id, position = excluded.position
     WHERE o.covered_at IS NULL;
END IF;
