-- Outcomes of the turns requested from $4 to $5 (UTC): of a course, or only of its experience $3.
SELECT t.kind, t.outcome, t.code, count(*) AS turns, count(*) FILTER (WHERE t.retry) AS retries,
       sum(t.takeovers)::bigint AS takeovers
  FROM analytics.turn_facts t
 WHERE t.account_id = $1 AND t.course_id = $2
   AND ($3::bigint IS NULL OR t.experience_id = $3)
   AND t.requested_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND t.requested_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
 GROUP BY 1, 2, 3
 ORDER BY 1, 2, 3
