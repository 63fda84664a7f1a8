-- Costs of each model in a course from $3 to $4 (UTC), by the purpose of the requests.
SELECT m.model, m.purpose, sum(m.input_tokens)::bigint AS input_tokens,
       sum(m.output_tokens)::bigint AS output_tokens,
       sum(m.cache_creation_input_tokens)::bigint AS cache_creation_input_tokens,
       sum(m.cache_read_input_tokens)::bigint AS cache_read_input_tokens,
       sum(m.cost_microusd)::bigint AS cost_microusd, sum(m.unpriced_requests)::bigint AS unpriced
  FROM analytics.model_daily_cost m
 WHERE m.account_id = $1 AND m.course_id = $2 AND m.day >= $3 AND m.day <= $4
 GROUP BY 1, 2
 ORDER BY 1, 2
