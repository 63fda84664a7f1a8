INSERT INTO conversation_facts (account_id, conversation_id, course_id, experience_id,
                                experience_version, user_id, started_at, last_activity_at,
                                objectives, input_tokens, output_tokens,
                                cache_creation_input_tokens, cache_read_input_tokens,
                                cost_microusd, unpriced, position)
SELECT e.account_id, e.conversation_id, (e.data->>'course_id')::bigint,
       (e.data->>'experience_id')::bigint, (e.data->>'experience_version')::bigint,
       (e.data->>'user_id')::bigint, e.recorded_at, e.recorded_at,
       jsonb_array_length(e.data->'objectives'),
       coalesce(whole_number_v1(e.data->'reply'->'usage'->'input_tokens'), 0),
       coalesce(whole_number_v1(e.data->'reply'->'usage'->'output_tokens'), 0),
       coalesce(whole_number_v1(e.data->'reply'->'usage'->'cache_creation_input_tokens'), 0),
       coalesce(whole_number_v1(e.data->'reply'->'usage'->'cache_read_input_tokens'), 0),
       coalesce(whole_number_v1(e.data->'reply'->'cost_microusd'), 0),
       CASE WHEN whole_number_v1(e.data->'reply'->'cost_microusd') IS NULL THEN 1 ELSE 0 END,
       e.position
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_started.v1';
