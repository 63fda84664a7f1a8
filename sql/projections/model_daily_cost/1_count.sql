-- The first event of a dialogue and of an evaluation names its course: one look-up a stream.
-- Sorted rows are locked in one order by ranges that are applied at once.
INSERT INTO model_daily_cost AS m (
    account_id, day, model, purpose, course_id, requests, failed_requests, cancelled_requests,
    held_back_requests, input_tokens, output_tokens, cache_creation_input_tokens,
    cache_read_input_tokens, cost_microusd, unpriced_requests, position)
SELECT apply.account, n.day, n.model, n.purpose, d.course_id, sum(n.requests), sum(n.failed),
       sum(n.cancelled), sum(n.held_back), sum(n.input_tokens), sum(n.output_tokens),
       sum(n.cache_creation_input_tokens), sum(n.cache_read_input_tokens), sum(n.cost_microusd),
       sum(n.unpriced), max(n.position)
  FROM (SELECT q.stream, q.day, q.purpose, a.model, max(q.position) AS position,
               coalesce(sum(a.number) FILTER (WHERE a.outcome <> 'circuit_open'), 0) AS requests,
               coalesce(sum(a.failed) FILTER (
                   WHERE a.outcome NOT IN ('cancelled', 'circuit_open')), 0) AS failed,
               coalesce(sum(a.number) FILTER (WHERE a.outcome = 'cancelled'), 0) AS cancelled,
               coalesce(sum(a.number) FILTER (WHERE a.outcome = 'circuit_open'), 0) AS held_back,
               coalesce(sum(whole_number_v1(a.usage->'input_tokens')), 0) AS input_tokens,
               coalesce(sum(whole_number_v1(a.usage->'output_tokens')), 0) AS output_tokens,
               coalesce(sum(whole_number_v1(a.usage->'cache_creation_input_tokens')), 0)
               AS cache_creation_input_tokens,
               coalesce(sum(whole_number_v1(a.usage->'cache_read_input_tokens')), 0)
               AS cache_read_input_tokens,
               coalesce(sum(a.cost_microusd), 0) AS cost_microusd,
               coalesce(sum(a.number) FILTER (
                   WHERE a.outcome <> 'circuit_open' AND a.cost_microusd IS NULL
                     AND whole_number_v1(q.record->'cost_microusd') IS NULL), 0) AS unpriced
          FROM (SELECT e.stream, e.position, (e.recorded_at AT TIME ZONE 'UTC')::date AS day,
                       CASE WHEN e.type IN ('conversation_started.v1', 'opening_failed.v1')
                              OR e.data->>'kind' = 'opening'
                            THEN 'opening'
                            WHEN e.type IN ('objectives_assessed.v1', 'assessment_failed.v1')
                            THEN 'assessment'
                            WHEN e.type IN ('evaluation_recorded.v1', 'evaluation_failed.v1')
                            THEN 'evaluation' ELSE 'message' END AS purpose,
                       coalesce(e.data->>'code', CASE WHEN e.type IN ('reply_cancelled.v1', 'turn_released.v1')
                                                      THEN 'cancelled' ELSE 'completed' END) AS outcome,
                       coalesce(e.data->'reply', e.data->'judgement', e.data) AS record
                  FROM events e
                 WHERE e.account_id = apply.account
                   AND e.position > apply.after_position AND e.position <= apply.upto_position
                   AND e.type IN ('opening_failed.v1', 'conversation_started.v1',
                                  'reply_completed.v1', 'reply_failed.v1', 'reply_cancelled.v1',
                                  'turn_released.v1', 'objectives_assessed.v1',
                                  'assessment_failed.v1',
                                  'evaluation_recorded.v1', 'evaluation_failed.v1')) q,
               LATERAL (
                   SELECT t.value->>'model' AS model, t.value->>'outcome' AS outcome, 1 AS number,
                          CASE t.value->>'outcome' WHEN 'completed' THEN 0 ELSE 1 END AS failed,
                          t.value->'usage' AS usage,
                          whole_number_v1(t.value->'cost_microusd') AS cost_microusd
                     FROM jsonb_array_elements(q.record->'attempt_records') AS t (value)
                    UNION ALL
                   -- Events from before attempts were recorded, or of a process that died.
                   SELECT coalesce(q.record->>'model_requested', q.record->>'model', 'unknown'),
                          q.outcome, o.number,
                          CASE q.outcome WHEN 'completed' THEN o.number - 1 ELSE o.number END,
                          q.record->'usage', whole_number_v1(q.record->'cost_microusd')
                     FROM (SELECT coalesce((q.record->>'attempts')::int, 1) AS number) o
                    WHERE coalesce(jsonb_array_length(q.record->'attempt_records'), 0) = 0
                      AND (q.record->>'model' IS NOT NULL
                           OR whole_number_v1(q.record->'cost_microusd') IS NULL)
               ) a
         GROUP BY q.stream, q.day, q.purpose, a.model) n,
       LATERAL (SELECT (b.data->>'course_id')::bigint AS course_id
                  FROM events b
                 WHERE b.account_id = apply.account AND b.stream = n.stream AND b.revision = 1
                 LIMIT 1) d
 GROUP BY n.day, n.model, n.purpose, d.course_id
 ORDER BY n.day, n.model, n.purpose, d.course_id
    ON CONFLICT (account_id, day, model, purpose, course_id) DO UPDATE SET
       requests = m.requests + excluded.requests,
       failed_requests = m.failed_requests + excluded.failed_requests,
       cancelled_requests = m.cancelled_requests + excluded.cancelled_requests,
       held_back_requests = m.held_back_requests + excluded.held_back_requests,
       input_tokens = m.input_tokens + excluded.input_tokens,
       output_tokens = m.output_tokens + excluded.output_tokens,
       cache_creation_input_tokens =
           m.cache_creation_input_tokens + excluded.cache_creation_input_tokens,
       cache_read_input_tokens = m.cache_read_input_tokens + excluded.cache_read_input_tokens,
       cost_microusd = m.cost_microusd + excluded.cost_microusd,
       unpriced_requests = m.unpriced_requests + excluded.unpriced_requests,
       position = greatest(m.position, excluded.position);
