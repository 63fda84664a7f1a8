-- Whichever of a turn's events comes first makes its row. Full joins are hashed whatever the
-- statistics say; sorted rows are locked in one order by ranges that are applied at once.
INSERT INTO turn_facts AS t (
    account_id, turn_id, conversation_id, course_id, experience_id, user_id, kind, retry,
    takeovers, requested_at, ended_at, outcome, code, retryable, model, fallback, prompt,
    stop_reason, first_token_ms, duration_ms, input_tokens, output_tokens, cache_creation_input_tokens,
    cache_read_input_tokens, attempts, cost_microusd, assessment_outcome, assessment_ms,
    assessment_cost_microusd, position)
SELECT apply.account, coalesce(a.turn_id, z.turn_id, j.turn_id, o.turn_id)::uuid AS turn_id,
       coalesce(a.conversation_id, z.conversation_id, j.conversation_id, o.conversation_id),
       a.course_id, a.experience_id, a.user_id, coalesce(a.kind, z.kind, o.kind, 'message'),
       a.retry, coalesce(o.takeovers, 0), a.recorded_at, z.recorded_at,
       coalesce(z.outcome, 'pending'), z.code, z.retryable,
       coalesce(z.record->>'model', a.model), z.fallback, z.record->'prompt'->>'name',
       z.record->>'stop_reason', (z.record->>'first_token_ms')::bigint,
       (z.record->>'duration_ms')::bigint, whole_number_v1(z.record->'usage'->'input_tokens'),
       whole_number_v1(z.record->'usage'->'output_tokens'),
       whole_number_v1(z.record->'usage'->'cache_creation_input_tokens'),
       whole_number_v1(z.record->'usage'->'cache_read_input_tokens'),
       CASE WHEN jsonb_array_length(z.record->'attempt_records') > 0
            THEN jsonb_array_length(jsonb_path_query_array(
                     z.record->'attempt_records', '$[*] ? (@.outcome != "circuit_open")'))
            ELSE coalesce((z.record->>'attempts')::bigint,
                          jsonb_array_length(z.record->'attempt_records')) END,
       whole_number_v1(z.record->'cost_microusd'), j.outcome, (j.record->>'duration_ms')::bigint,
       whole_number_v1(j.record->'cost_microusd'), 
       greatest(a.position, z.position, j.position, o.position)
  FROM (SELECT e.data->>'turn_id' AS turn_id, e.conversation_id, e.position, e.recorded_at,
               (e.data->>'course_id')::bigint AS course_id,
               (e.data->>'experience_id')::bigint AS experience_id,
               (e.data->>'user_id')::bigint AS user_id, e.data->>'model' AS model,
               CASE e.type WHEN 'opening_requested.v1' THEN 'opening'
                           WHEN 'evaluation_requested.v1' THEN 'evaluation'
                           ELSE 'message' END AS kind,
               e.type = 'message_retried.v1' AS retry
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('opening_requested.v1', 'message_posted.v1', 'message_retried.v1',
                          'evaluation_requested.v1')
       ) a
  FULL JOIN (
        SELECT e.data->>'turn_id' AS turn_id, e.conversation_id, e.position, e.recorded_at,
               CASE WHEN e.type IN ('conversation_started.v1', 'opening_failed.v1') THEN 'opening'
                    WHEN e.type IN ('evaluation_recorded.v1', 'evaluation_failed.v1')
                    THEN 'evaluation' ELSE 'message' END AS kind,
               CASE WHEN e.type IN ('conversation_started.v1', 'reply_completed.v1',
                                    'evaluation_recorded.v1') THEN 'completed'
                    WHEN e.type = 'reply_cancelled.v1' OR e.data->>'code' = 'cancelled'
                    THEN 'cancelled' ELSE 'failed' END AS outcome,
               coalesce(e.data->>'code', e.data->>'reason') AS code,
               CASE WHEN e.data ? 'code' THEN coalesce((e.data->>'retryable')::boolean, true)
               END AS retryable,
               CASE WHEN e.type IN ('conversation_started.v1', 'reply_completed.v1',
                                    'evaluation_recorded.v1')
                    THEN coalesce((r.record->>'fallback')::boolean, false) END AS fallback,
               r.record
          FROM events e,
               LATERAL (SELECT coalesce(e.data->'reply', e.data->'judgement', e.data)) r (record)
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                          'reply_failed.v1', 'reply_cancelled.v1', 'evaluation_recorded.v1',
                          'evaluation_failed.v1')
       ) z ON z.turn_id = a.turn_id
  FULL JOIN (
        SELECT DISTINCT ON (e.data->>'turn_id')
               e.data->>'turn_id' AS turn_id, e.conversation_id, e.position,
               CASE e.type WHEN 'objectives_assessed.v1' THEN 'completed' ELSE 'failed' END
               AS outcome,
               coalesce(e.data->'judgement', e.data) AS record
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('objectives_assessed.v1', 'assessment_failed.v1')
         ORDER BY e.data->>'turn_id', e.position
       ) j ON j.turn_id = coalesce(a.turn_id, z.turn_id)
  FULL JOIN (
        SELECT e.data->>'turn_id' AS turn_id, e.conversation_id, max(e.data->>'kind') AS kind,
               max((e.data->>'number')::bigint) AS takeovers,
               max(e.position) AS position
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'turn_taken_over.v1'
         GROUP BY e.data->>'turn_id', e.conversation_id
       ) o ON o.turn_id = coalesce(a.turn_id, z.turn_id, j.turn_id)
 ORDER BY turn_id
    ON CONFLICT (account_id, turn_id) DO UPDATE SET
       course_id = coalesce(t.course_id, excluded.course_id),
       experience_id = coalesce(t.experience_id, excluded.experience_id),
       user_id = coalesce(t.user_id, excluded.user_id),
       retry = coalesce(t.retry, excluded.retry),
       takeovers = greatest(t.takeovers, excluded.takeovers),
       requested_at = coalesce(t.requested_at, excluded.requested_at),
       ended_at = coalesce(t.ended_at, excluded.ended_at),
       outcome = CASE excluded.outcome WHEN 'pending' THEN t.outcome ELSE excluded.outcome END,
       code = coalesce(t.code, excluded.code),
       retryable = coalesce(t.retryable, excluded.retryable),
       model = CASE WHEN excluded.ended_at IS NULL THEN coalesce(t.model, excluded.model)
                    ELSE coalesce(excluded.model, t.model) END,
       fallback = coalesce(t.fallback, excluded.fallback),
       prompt = coalesce(t.prompt, excluded.prompt),
       stop_reason = coalesce(t.stop_reason, excluded.stop_reason),
       first_token_ms = coalesce(t.first_token_ms, excluded.first_token_ms),
       duration_ms = coalesce(t.duration_ms, excluded.duration_ms),
       input_tokens = coalesce(t.input_tokens, excluded.input_tokens),
       output_tokens = coalesce(t.output_tokens, excluded.output_tokens),
       cache_creation_input_tokens =
           coalesce(t.cache_creation_input_tokens, excluded.cache_creation_input_tokens),
       cache_read_input_tokens =
           coalesce(t.cache_read_input_tokens, excluded.cache_read_input_tokens),
       attempts = coalesce(t.attempts, excluded.attempts),
       cost_microusd = coalesce(t.cost_microusd, excluded.cost_microusd),
       assessment_outcome = coalesce(t.assessment_outcome, excluded.assessment_outcome),
       assessment_ms = coalesce(t.assessment_ms, excluded.assessment_ms),
       assessment_cost_microusd =
           coalesce(t.assessment_cost_microusd, excluded.assessment_cost_microusd),
       position = greatest(t.position, excluded.position);
