-- Learners who requested a conversation or sent a message from $4 to $5 (UTC), and how long they
-- waited for answers: of a course, or only of its experience $3.
SELECT count(DISTINCT t.user_id) AS learners,
       count(t.duration_ms) FILTER (WHERE t.outcome = 'completed') AS turns,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY t.duration_ms)
       FILTER (WHERE t.outcome = 'completed') AS duration_p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY t.duration_ms)
       FILTER (WHERE t.outcome = 'completed') AS duration_p95,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY t.first_token_ms)
       FILTER (WHERE t.outcome = 'completed') AS first_token_p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY t.first_token_ms)
       FILTER (WHERE t.outcome = 'completed') AS first_token_p95
  FROM analytics.turn_facts t
 WHERE t.account_id = $1 AND t.course_id = $2 AND t.kind <> 'evaluation'
   AND ($3::bigint IS NULL OR t.experience_id = $3)
   AND t.requested_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND t.requested_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
