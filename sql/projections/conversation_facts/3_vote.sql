-- Asked first, since most ranges have none; and planned when it is needed.
IF EXISTS (SELECT FROM events e
            WHERE e.account_id = apply.account
              AND e.position > apply.after_position AND e.position <= apply.upto_position
              AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')) THEN
    INSERT INTO standing_votes AS v (account_id, conversation_id, message_id, user_id, vote)
    SELECT DISTINCT ON (e.conversation_id, e.data->>'message_id', e.data->>'user_id')
           e.account_id, e.conversation_id, (e.data->>'message_id')::uuid,
           (e.data->>'user_id')::bigint, e.data->>'vote'
      FROM events e
     WHERE e.account_id = apply.account
       AND e.position > apply.after_position AND e.position <= apply.upto_position
       AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')
     ORDER BY e.conversation_id, e.data->>'message_id', e.data->>'user_id', e.position DESC
        ON CONFLICT (account_id, conversation_id, message_id, user_id)
        DO UPDATE SET vote = excluded.vote;

    UPDATE conversation_facts c
       SET (liked, disliked) = (
               SELECT count(*) FILTER (WHERE v.vote = 'liked'),
                      count(*) FILTER (WHERE v.vote = 'disliked')
                 FROM standing_votes v
                WHERE v.account_id = c.account_id AND v.conversation_id = c.conversation_id),
           position = greatest(c.position, n.position)
      FROM (SELECT e.conversation_id, max(e.position) AS position
              FROM events e
             WHERE e.account_id = apply.account
               AND e.position > apply.after_position AND e.position <= apply.upto_position
               AND e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1')
             GROUP BY e.conversation_id) n
     WHERE c.account_id = apply.account AND c.conversation_id = n.conversation_id;
END IF;
