INSERT INTO feedback_facts AS f (
    account_id, message_id, voter_id, conversation_id, course_id, experience_id, user_id,
    feedback_id, vote, first_given_at, given_at, replaced, withdrawn_at, position)
SELECT k.account_id, k.message_id, k.voter_id, k.conversation_id, k.course_id, k.experience_id,
       k.user_id, k.feedback_id, k.vote, k.first_given_at, k.given_at, k.replaced, w.recorded_at,
       w.position
  FROM (SELECT DISTINCT ON (e.data->>'user_id', e.data->>'message_id')
               (e.data->>'message_id')::uuid AS message_id,
               (e.data->>'user_id')::bigint AS voter_id, e.recorded_at, e.position
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'feedback_withdrawn.v1'
         ORDER BY e.data->>'user_id', e.data->>'message_id', e.position DESC) w
 CROSS JOIN LATERAL (
       SELECT r.* FROM feedback_facts r
        WHERE r.account_id = apply.account AND r.message_id = w.message_id
          AND r.voter_id = w.voter_id
       OFFSET 0) k
    ON CONFLICT (account_id, message_id, voter_id) DO UPDATE SET
       withdrawn_at = excluded.withdrawn_at, position = excluded.position
 WHERE f.position < excluded.position;
