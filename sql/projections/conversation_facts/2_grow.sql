-- What is added to the row that is there, which is found by a look-up each, whatever the statistics
-- say. An objective is covered once and for all, so covered ones can be counted as they come.
INSERT INTO conversation_facts AS c (
    account_id, conversation_id, course_id, experience_id, experience_version, user_id, started_at,
    objectives, first_message_at, last_activity_at, completed_at, completion_reason, messages,
    replies, failed_turns, cancelled_turns, objectives_covered, all_objectives_met_at, evaluations,
    input_tokens, output_tokens, cache_creation_input_tokens, cache_read_input_tokens,
    cost_microusd, unpriced, text_removed_at, position)
SELECT k.account_id, k.conversation_id, k.course_id, k.experience_id, k.experience_version,
       k.user_id, k.started_at, k.objectives, n.first_message_at,
       coalesce(n.last_activity_at, k.last_activity_at), n.completed_at, n.completion_reason,
       n.messages, n.replies, n.failed_turns, n.cancelled_turns, n.covered, n.covered_at,
       n.evaluations, n.input_tokens, n.output_tokens, n.cache_creation_input_tokens,
       n.cache_read_input_tokens, n.cost_microusd, n.unpriced, n.text_removed_at, n.position
  FROM (SELECT e.conversation_id, max(e.position) AS position,
               min(e.recorded_at) FILTER (WHERE e.type = 'message_posted.v1') AS first_message_at,
               max(e.recorded_at) FILTER (
                   WHERE e.type IN ('message_posted.v1', 'message_retried.v1',
                                    'reply_completed.v1', 'reply_failed.v1',
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
               coalesce(sum(whole_number_v1(r.record->'usage'->'input_tokens')), 0)::bigint
               AS input_tokens,
               coalesce(sum(whole_number_v1(r.record->'usage'->'output_tokens')), 0)::bigint
               AS output_tokens,
               coalesce(sum(whole_number_v1(r.record->'usage'->'cache_creation_input_tokens')),
                        0)::bigint AS cache_creation_input_tokens,
               coalesce(sum(whole_number_v1(r.record->'usage'->'cache_read_input_tokens')),
                        0)::bigint AS cache_read_input_tokens,
               coalesce(sum(whole_number_v1(r.record->'cost_microusd')), 0)::bigint
               AS cost_microusd,
               count(*) FILTER (
                   WHERE e.type NOT IN ('message_posted.v1', 'message_retried.v1',
                                        'conversation_completed.v1', 'text_expired.v1')
                     AND whole_number_v1(r.record->'cost_microusd') IS NULL) AS unpriced,
               max(e.recorded_at) FILTER (WHERE e.type = 'text_expired.v1') AS text_removed_at
          FROM events e,
               LATERAL (SELECT coalesce(e.data->'reply', e.data->'judgement', e.data)) r (record)
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND (e.type <> 'turn_released.v1' OR e.data->>'kind' = 'message')
           AND e.type IN ('message_posted.v1', 'message_retried.v1', 'reply_completed.v1',
                          'reply_failed.v1', 'reply_cancelled.v1', 'turn_released.v1',
                          'objectives_assessed.v1', 'assessment_failed.v1',
                          'evaluation_recorded.v1', 'evaluation_failed.v1',
                          'conversation_completed.v1', 'text_expired.v1')
         GROUP BY e.conversation_id) n
 CROSS JOIN LATERAL (
       SELECT r.* FROM conversation_facts r
        WHERE r.account_id = apply.account AND r.conversation_id = n.conversation_id
       OFFSET 0) k
    ON CONFLICT (account_id, conversation_id) DO UPDATE SET
       first_message_at = coalesce(c.first_message_at, excluded.first_message_at),
       last_activity_at = excluded.last_activity_at,
       completed_at = coalesce(excluded.completed_at, c.completed_at),
       completion_reason = coalesce(excluded.completion_reason, c.completion_reason),
       messages = c.messages + excluded.messages,
       replies = c.replies + excluded.replies,
       failed_turns = c.failed_turns + excluded.failed_turns,
       cancelled_turns = c.cancelled_turns + excluded.cancelled_turns,
       objectives_covered = c.objectives_covered + excluded.objectives_covered,
       all_objectives_met_at =
           CASE WHEN excluded.objectives_covered > 0
                 AND c.objectives_covered + excluded.objectives_covered = c.objectives
                THEN excluded.all_objectives_met_at ELSE c.all_objectives_met_at END,
       evaluations = c.evaluations + excluded.evaluations,
       input_tokens = c.input_tokens + excluded.input_tokens,
       output_tokens = c.output_tokens + excluded.output_tokens,
       cache_creation_input_tokens =
           c.cache_creation_input_tokens + excluded.cache_creation_input_tokens,
       cache_read_input_tokens = c.cache_read_input_tokens + excluded.cache_read_input_tokens,
       cost_microusd = c.cost_microusd + excluded.cost_microusd,
       unpriced = c.unpriced + excluded.unpriced,
       text_removed_at = coalesce(excluded.text_removed_at, c.text_removed_at),
       position = excluded.position;
