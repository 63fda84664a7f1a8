-- Costs so far of the conversations opened from $4 to $5 (UTC) whose costs are all known: of a
-- course, or only of its experience $3.
SELECT count(*) AS conversations,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY c.cost_microusd) AS p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY c.cost_microusd) AS p95
  FROM analytics.conversation_facts c
 WHERE c.account_id = $1 AND c.course_id = $2 AND c.unpriced = 0
   AND ($3::bigint IS NULL OR c.experience_id = $3)
   AND c.started_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND c.started_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
