-- What a vote changes is the difference to the one that stood before, which is looked up.
WITH changed AS (
    SELECT n.*, before.vote AS vote_before
      FROM (SELECT DISTINCT ON (e.conversation_id, e.data->>'message_id', e.data->>'user_id')
                   e.conversation_id, (e.data->>'message_id')::uuid AS message_id,
                   (e.data->>'user_id')::bigint AS user_id, e.data->>'vote' AS vote, e.position
              FROM events e
             WHERE e.account_id = apply.account
               AND e.position > apply.after_position AND e.position <= apply.upto_position
               AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')
             ORDER BY e.conversation_id, e.data->>'message_id', e.data->>'user_id',
                      e.position DESC) n
      LEFT JOIN LATERAL (
           SELECT v.vote FROM standing_votes v
            WHERE v.account_id = apply.account AND v.conversation_id = n.conversation_id
              AND v.message_id = n.message_id AND v.user_id = n.user_id
           OFFSET 0) before ON true
), stands AS (
    INSERT INTO standing_votes AS v (account_id, conversation_id, message_id, user_id, vote)
    SELECT apply.account, d.conversation_id, d.message_id, d.user_id, d.vote FROM changed d
        ON CONFLICT (account_id, conversation_id, message_id, user_id)
        DO UPDATE SET vote = excluded.vote
)
INSERT INTO conversation_facts AS c (
    account_id, conversation_id, course_id, experience_id, experience_version, user_id, started_at,
    last_activity_at, objectives, liked, disliked, input_tokens, output_tokens,
    cache_creation_input_tokens, cache_read_input_tokens, cost_microusd, unpriced, position)
SELECT k.account_id, k.conversation_id, k.course_id, k.experience_id, k.experience_version,
       k.user_id, k.started_at, k.last_activity_at, k.objectives, s.liked, s.disliked, 0, 0, 0, 0,
       0, 0, s.position
  FROM (SELECT d.conversation_id, max(d.position) AS position,
               count(*) FILTER (WHERE d.vote = 'liked')
               - count(*) FILTER (WHERE d.vote_before = 'liked') AS liked,
               count(*) FILTER (WHERE d.vote = 'disliked')
               - count(*) FILTER (WHERE d.vote_before = 'disliked') AS disliked
          FROM changed d
         GROUP BY d.conversation_id) s
 CROSS JOIN LATERAL (
       SELECT r.* FROM conversation_facts r
        WHERE r.account_id = apply.account AND r.conversation_id = s.conversation_id
       OFFSET 0) k
    ON CONFLICT (account_id, conversation_id) DO UPDATE SET
       liked = c.liked + excluded.liked, disliked = c.disliked + excluded.disliked,
       position = greatest(c.position, excluded.position);
