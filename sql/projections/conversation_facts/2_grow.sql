-- An objective is covered once and for all, so covered ones can be counted as they come.
UPDATE conversation_facts c
   SET first_message_at = coalesce(c.first_message_at, n.first_message_at),
       last_activity_at = greatest(c.last_activity_at, n.last_activity_at),
       completed_at = coalesce(n.completed_at, c.completed_at),
       completion_reason = coalesce(n.completion_reason, c.completion_reason),
       messages = c.messages + n.messages,
       replies = c.replies + n.replies,
       failed_turns = c.failed_turns + n.failed_turns,
       cancelled_turns = c.cancelled_turns + n.cancelled_turns,
       objectives_covered = c.objectives_covered + n.covered,
       all_objectives_met_at = CASE WHEN n.covered > 0 AND c.objectives_covered + n.covered = c.objectives
                                    THEN n.covered_at ELSE c.all_objectives_met_at END,
       evaluations = c.evaluations + n.evaluations,
       input_tokens = c.input_tokens + n.input_tokens,
       output_tokens = c.output_tokens + n.output_tokens,
       cache_creation_input_tokens = c.cache_creation_input_tokens + n.cache_creation_input_tokens,
       cache_read_input_tokens = c.cache_read_input_tokens + n.cache_read_input_tokens,
       cost_microusd = c.cost_microusd + n.cost_microusd,
       unpriced = c.unpriced + n.unpriced,
       text_removed_at = coalesce(n.text_removed_at, c.text_removed_at),
       position = n.position
  FROM (SELECT e.conversation_id, max(e.position) AS position,
               min(e.recorded_at) FILTER (WHERE e.type = 'message_posted.v1') AS first_message_at,
               max(e.recorded_at) FILTER (
                   WHERE e.type IN ('message_posted.v1', 'reply_completed.v1', 'reply_failed.v1',
                                    'reply_cancelled.v1')) AS last_activity_at,
               max(e.recorded_at) FILTER (WHERE e.type = 'conversation_completed.v1')
               AS completed_at,
               max(e.data->>'reason') FILTER (WHERE e.type = 'conversation_completed.v1')
               AS completion_reason,
               count(*) FILTER (WHERE e.type = 'message_posted.v1') AS messages,
               count(*) FILTER (WHERE e.type = 'reply_completed.v1') AS replies,
               count(*) FILTER (WHERE e.type = 'reply_failed.v1'
                                  AND e.data->>'code' <> 'cancelled') AS failed_turns,
               count(*) FILTER (WHERE e.type = 'reply_cancelled.v1'
                                   OR e.type = 'reply_failed.v1' AND e.data->>'code' = 'cancelled')
               AS cancelled_turns,
               coalesce(sum(jsonb_array_length(e.data->'covered')), 0)::bigint AS covered,
               max(e.recorded_at) FILTER (WHERE e.data->'covered' <> '[]') AS covered_at,
               count(*) FILTER (WHERE e.type = 'evaluation_recorded.v1') AS evaluations,
               coalesce(sum((r.record->'usage'->>'input_tokens')::bigint), 0)::bigint
               AS input_tokens,
               coalesce(sum((r.record->'usage'->>'output_tokens')::bigint), 0)::bigint
               AS output_tokens,
               coalesce(sum((r.record->'usage'->>'cache_creation_input_tokens')::bigint), 0)::bigint
               AS cache_creation_input_tokens,
               coalesce(sum((r.record->'usage'->>'cache_read_input_tokens')::bigint), 0)::bigint
               AS cache_read_input_tokens,
               coalesce(sum((r.record->>'cost_microusd')::bigint), 0)::bigint AS cost_microusd,
               count(*) FILTER (
                   WHERE e.type NOT IN ('message_posted.v1', 'conversation_completed.v1',
                                        'text_expired.v1')
                     AND r.record->>'cost_microusd' IS NULL) AS unpriced,
               max(e.recorded_at) FILTER (WHERE e.type = 'text_expired.v1') AS text_removed_at
          FROM events e,
               LATERAL (SELECT coalesce(e.data->'reply', e.data->'judgement', e.data)) r (record)
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type IN ('message_posted.v1', 'reply_completed.v1', 'reply_failed.v1',
                          'reply_cancelled.v1', 'objectives_assessed.v1', 'assessment_failed.v1',
                          'evaluation_recorded.v1', 'evaluation_failed.v1',
                          'conversation_completed.v1', 'text_expired.v1')
         GROUP BY e.conversation_id) n
 WHERE c.account_id = apply.account AND c.conversation_id = n.conversation_id;
