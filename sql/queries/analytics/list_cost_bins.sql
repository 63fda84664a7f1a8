-- Histogram of the same conversations by cost: bin n counts those from edge n of $6 (millionths of
-- a dollar, numbered from 1) to below the next edge.
SELECT width_bucket(c.cost_microusd, $6::bigint[]) AS bin, count(*) AS counted
  FROM analytics.conversation_facts c
 WHERE c.account_id = $1 AND c.course_id = $2 AND c.unpriced = 0
   AND ($3::bigint IS NULL OR c.experience_id = $3)
   AND c.started_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND c.started_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
 GROUP BY 1
