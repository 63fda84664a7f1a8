-- Votes on messages of the model that were last given from $4 to $5 (UTC): of a course, or only of
-- its experience $3.
SELECT count(*) FILTER (WHERE f.withdrawn_at IS NULL AND f.vote = 'liked') AS liked,
       count(*) FILTER (WHERE f.withdrawn_at IS NULL AND f.vote = 'disliked') AS disliked,
       count(*) FILTER (WHERE f.withdrawn_at IS NULL AND f.vote = 'liked' AND f.by_learner)
       AS learners_liked,
       count(*) FILTER (WHERE f.withdrawn_at IS NULL AND f.vote = 'disliked' AND f.by_learner)
       AS learners_disliked,
       count(f.withdrawn_at) AS withdrawn
  FROM analytics.feedback_facts f
 WHERE f.account_id = $1 AND f.course_id = $2
   AND ($3::bigint IS NULL OR f.experience_id = $3)
   AND f.given_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND f.given_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
