UPDATE turn_facts t
   SET ended_at = e.recorded_at,
       outcome = CASE WHEN e.type IN ('opening_failed.v1', 'reply_failed.v1', 'evaluation_failed.v1')
                      THEN CASE e.data->>'code' WHEN 'cancelled' THEN 'cancelled' ELSE 'failed' END
                      WHEN e.type = 'reply_cancelled.v1' THEN 'cancelled'
                      ELSE 'completed' END,
       code = coalesce(e.data->>'code', e.data->>'reason'),
       model = coalesce(r.record->>'model', t.model),
       stop_reason = r.record->>'stop_reason',
       first_token_ms = (r.record->>'first_token_ms')::bigint,
       duration_ms = (r.record->>'duration_ms')::bigint,
       input_tokens = (r.record->'usage'->>'input_tokens')::bigint,
       output_tokens = (r.record->'usage'->>'output_tokens')::bigint,
       cache_creation_input_tokens = (r.record->'usage'->>'cache_creation_input_tokens')::bigint,
       cache_read_input_tokens = (r.record->'usage'->>'cache_read_input_tokens')::bigint,
       attempts = jsonb_array_length(r.record->'attempt_records'),
       cost_microusd = (r.record->>'cost_microusd')::bigint
  FROM events e,
       LATERAL (SELECT coalesce(e.data->'reply', e.data->'judgement', e.data)) AS r (record)
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                  'reply_failed.v1', 'reply_cancelled.v1', 'evaluation_recorded.v1',
                  'evaluation_failed.v1')
   AND t.account_id = e.account_id AND t.turn_id = (e.data->>'turn_id')::uuid;
