-- Which of the learners $2 of account $1 were erased above position $3.
SELECT l.user_id
  FROM unnest($2::bigint[]) AS l (user_id)
 WHERE $3 < coalesce((
       SELECT g.position FROM events g
        WHERE g.account_id = $1 AND g.stream = 'learner-' || l.user_id
          AND g.type = 'learner_erased.v1'
        ORDER BY g.revision DESC
        LIMIT 1), 0)
