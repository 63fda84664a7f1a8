-- Whichever of the two events comes first makes the row; sorted rows are locked in one order by
-- ranges that are applied at once.
INSERT INTO evaluation_facts AS v (
    account_id, evaluation_id, conversation_id, course_id, experience_id, experience_version,
    user_id, asked_by, requested_at, ended_at, outcome, code, retryable, model, fallback,
    prompt, duration_ms, input_tokens, output_tokens, cache_creation_input_tokens,
    cache_read_input_tokens, attempts, cost_microusd, position)
SELECT apply.account, coalesce(a.evaluation_id, z.evaluation_id)::uuid AS evaluation_id,
       coalesce(a.conversation_id, z.conversation_id),
       (a.data->>'course_id')::bigint, (a.data->>'experience_id')::bigint,
       (a.data->>'experience_version')::bigint, (a.data->>'user_id')::bigint, a.asked_by,
       a.recorded_at, z.recorded_at,
       CASE WHEN z.type = 'evaluation_recorded.v1' THEN 'completed'
            WHEN z.data->>'code' = 'cancelled' THEN 'cancelled'
            WHEN z.type = 'evaluation_failed.v1' THEN 'failed' ELSE 'pending' END,
       z.data->>'code',
       CASE z.type WHEN 'evaluation_failed.v1'
                   THEN coalesce((z.data->>'retryable')::boolean, true) END,
       coalesce(z.record->>'model', a.data->>'model'),
       CASE z.type WHEN 'evaluation_recorded.v1'
                   THEN coalesce((z.record->>'fallback')::boolean, false) END,
       z.record->'prompt'->>'name', (z.record->>'duration_ms')::bigint,
       whole_number_v1(z.record->'usage'->'input_tokens'),
       whole_number_v1(z.record->'usage'->'output_tokens'),
       whole_number_v1(z.record->'usage'->'cache_creation_input_tokens'),
       whole_number_v1(z.record->'usage'->'cache_read_input_tokens'),
       CASE WHEN jsonb_array_length(z.record->'attempt_records') > 0
            THEN jsonb_array_length(jsonb_path_query_array(
                     z.record->'attempt_records', '$[*] ? (@.outcome != "circuit_open")'))
            ELSE coalesce((z.record->>'attempts')::bigint,
                          jsonb_array_length(z.record->'attempt_records')) END,
       whole_number_v1(z.record->'cost_microusd'), greatest(a.position, z.position)
  FROM (SELECT e.data->>'turn_id' AS evaluation_id, e.conversation_id, e.position,
               e.recorded_at, e.data, (e.metadata->'actor'->>'id')::bigint AS asked_by
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'evaluation_requested.v1') a
  FULL JOIN (
        SELECT e.data->>'turn_id' AS evaluation_id, e.conversation_id, e.position,
               e.recorded_at, e.data, e.type, coalesce(e.data->'judgement', e.data) AS record
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('evaluation_recorded.v1', 'evaluation_failed.v1')
       ) z ON z.evaluation_id = a.evaluation_id
 ORDER BY evaluation_id
    ON CONFLICT (account_id, evaluation_id) DO UPDATE SET
       course_id = coalesce(v.course_id, excluded.course_id),
       experience_id = coalesce(v.experience_id, excluded.experience_id),
       experience_version = coalesce(v.experience_version, excluded.experience_version),
       user_id = coalesce(v.user_id, excluded.user_id),
       asked_by = coalesce(v.asked_by, excluded.asked_by),
       requested_at = coalesce(v.requested_at, excluded.requested_at),
       ended_at = coalesce(v.ended_at, excluded.ended_at),
       outcome = CASE excluded.outcome WHEN 'pending' THEN v.outcome ELSE excluded.outcome END,
       code = coalesce(v.code, excluded.code),
       retryable = coalesce(v.retryable, excluded.retryable),
       model = CASE WHEN excluded.ended_at IS NULL THEN coalesce(v.model, excluded.model)
                    ELSE coalesce(excluded.model, v.model) END,
       fallback = coalesce(v.fallback, excluded.fallback),
       prompt = coalesce(v.prompt, excluded.prompt),
       duration_ms = coalesce(v.duration_ms, excluded.duration_ms),
       input_tokens = coalesce(v.input_tokens, excluded.input_tokens),
       output_tokens = coalesce(v.output_tokens, excluded.output_tokens),
       cache_creation_input_tokens =
           coalesce(v.cache_creation_input_tokens, excluded.cache_creation_input_tokens),
       cache_read_input_tokens =
           coalesce(v.cache_read_input_tokens, excluded.cache_read_input_tokens),
       attempts = coalesce(v.attempts, excluded.attempts),
       cost_microusd = coalesce(v.cost_microusd, excluded.cost_microusd),
       position = greatest(v.position, excluded.position);
