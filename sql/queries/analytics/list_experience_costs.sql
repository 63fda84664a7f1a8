-- The same of experience $3, for turns requested from $4 to $5 (UTC): each with the model that
-- answered, or else was requested. The model that judged beside a reply is unknown.
WITH turns AS (
    SELECT t.*
      FROM analytics.turn_facts t
     WHERE t.account_id = $1 AND t.course_id = $2 AND t.experience_id = $3
       AND t.requested_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
       AND t.requested_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
       AND t.ended_at IS NOT NULL
)
SELECT coalesce(t.model, 'unknown') AS model, t.kind AS purpose, coalesce(sum(t.input_tokens), 0)::bigint AS input_tokens,
       coalesce(sum(t.output_tokens), 0)::bigint AS output_tokens,
       coalesce(sum(t.cache_creation_input_tokens), 0)::bigint AS cache_creation_input_tokens,
       coalesce(sum(t.cache_read_input_tokens), 0)::bigint AS cache_read_input_tokens,
       coalesce(sum(t.cost_microusd), 0)::bigint AS cost_microusd,
       count(*) FILTER (WHERE t.cost_microusd IS NULL) AS unpriced
  FROM turns t
 GROUP BY 1, 2
 UNION ALL
SELECT 'unknown', 'assessment', NULL, NULL, NULL, NULL,
       coalesce(sum(t.assessment_cost_microusd), 0)::bigint,
       count(*) FILTER (WHERE t.assessment_cost_microusd IS NULL)
  FROM turns t
 WHERE t.assessment_outcome IS NOT NULL
HAVING count(*) > 0
 ORDER BY 1, 2
