UPDATE turn_facts t
   SET ended_at = e.recorded_at,
       outcome = CASE e.type WHEN 'opening_failed.v1' THEN 'failed'
                             WHEN 'reply_failed.v1' THEN 'failed'
                             WHEN 'reply_cancelled.v1' THEN 'cancelled'
                             ELSE 'completed' END,
       code = coalesce(e.data->>'code', e.data->>'reason'),
       model = coalesce(e.data->'reply'->>'model', e.data->>'model', t.model),
       stop_reason = e.data->'reply'->>'stop_reason',
       first_token_ms = (e.data->'reply'->>'first_token_ms')::bigint,
       duration_ms = coalesce(e.data->'reply'->>'duration_ms', e.data->>'duration_ms')::bigint,
       input_tokens = (coalesce(e.data->'reply', e.data)->'usage'->>'input_tokens')::bigint,
       output_tokens = (coalesce(e.data->'reply', e.data)->'usage'->>'output_tokens')::bigint,
       cache_creation_input_tokens =
           (coalesce(e.data->'reply', e.data)->'usage'->>'cache_creation_input_tokens')::bigint,
       cache_read_input_tokens =
           (coalesce(e.data->'reply', e.data)->'usage'->>'cache_read_input_tokens')::bigint
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type IN ('opening_failed.v1', 'conversation_started.v1', 'reply_completed.v1',
                  'reply_failed.v1', 'reply_cancelled.v1')
   AND t.account_id = e.account_id AND t.turn_id = (e.data->>'turn_id')::uuid;
