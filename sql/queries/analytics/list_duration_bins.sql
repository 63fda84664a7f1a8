-- Histogram of the same answers by duration: bin n counts those from edge n of $6 (milliseconds,
-- numbered from 1) to below the next edge.
SELECT width_bucket(t.duration_ms, $6::bigint[]) AS bin, count(*) AS counted
  FROM analytics.turn_facts t
 WHERE t.account_id = $1 AND t.course_id = $2 AND t.kind <> 'evaluation'
   AND ($3::bigint IS NULL OR t.experience_id = $3)
   AND t.requested_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND t.requested_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
   AND t.outcome = 'completed' AND t.duration_ms IS NOT NULL
 GROUP BY 1
