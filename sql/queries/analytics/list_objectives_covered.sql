-- How many of the conversations opened from $4 to $5 (UTC) have covered each objective, and at
-- which of the learner's messages: of a course, or only of its experience $3.
SELECT o.experience_id AS ai_experience_id, o.experience_version AS version, o.objective,
       count(*) AS conversations, count(o.covered_at) AS covered,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY o.turn_number) AS median_turn
  FROM analytics.objective_facts o
 WHERE o.account_id = $1 AND o.course_id = $2
   AND ($3::bigint IS NULL OR o.experience_id = $3)
   AND o.started_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND o.started_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
