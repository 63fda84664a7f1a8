-- Asked first, since few judgements find anything; and planned when it is needed.
IF EXISTS (SELECT FROM events e
            WHERE e.account_id = apply.account
              AND e.position > apply.after_position AND e.position <= apply.upto_position
              AND e.type = 'objectives_assessed.v1' AND e.data->'covered' <> '[]') THEN
    -- A judgement may come late, when the learner has said more: its turn is looked up by its id,
    -- among the messages of its conversation.
    UPDATE objective_facts o
       SET covered_at = f.recorded_at, turn_id = f.turn_id::uuid, turn_number = f.turn_number,
           evidence_message_id = f.message_id::uuid, position = f.position
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
             ORDER BY e.conversation_id, c.value->>'objective', e.position) f
     WHERE o.account_id = apply.account AND o.conversation_id = f.conversation_id
       AND o.objective = f.objective AND o.covered_at IS NULL;
END IF;
