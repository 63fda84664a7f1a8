-- The first event of a dialogue names its course, experience and learner.
INSERT INTO feedback_facts AS f (
    account_id, message_id, voter_id, conversation_id, course_id, experience_id, user_id,
    feedback_id, vote, first_given_at, given_at, replaced, position)
SELECT apply.account, g.message_id, g.voter_id, g.conversation_id, d.course_id,
       d.experience_id, d.user_id, g.feedback_ids[1], g.votes[1], g.first_given_at,
       g.given_ats[1], g.given > 1, g.position
  FROM (SELECT (e.data->>'message_id')::uuid AS message_id,
               (e.data->>'user_id')::bigint AS voter_id,
               min(e.conversation_id) AS conversation_id, min(e.stream) AS stream,
               array_agg((e.data->>'feedback_id')::uuid ORDER BY e.position DESC) AS feedback_ids,
               array_agg(e.data->>'vote' ORDER BY e.position DESC) AS votes,
               min(e.recorded_at) AS first_given_at,
               array_agg(e.recorded_at ORDER BY e.position DESC) AS given_ats,
               count(*) AS given, max(e.position) AS position
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'feedback_given.v1'
         GROUP BY 1, 2) g
 CROSS JOIN LATERAL (
       SELECT (b.data->>'course_id')::bigint AS course_id,
              (b.data->>'experience_id')::bigint AS experience_id,
              (b.data->>'user_id')::bigint AS user_id
         FROM events b
        WHERE b.account_id = apply.account AND b.stream = g.stream AND b.revision = 1
       OFFSET 0) d
    ON CONFLICT (account_id, message_id, voter_id) DO UPDATE SET
       feedback_id = excluded.feedback_id, vote = excluded.vote,
       given_at = excluded.given_at, replaced = true, withdrawn_at = NULL,
       position = excluded.position
 WHERE excluded.position > f.position;
