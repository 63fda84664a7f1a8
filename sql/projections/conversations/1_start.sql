INSERT INTO conversations (account_id, conversation_id, course_id, experience_id,
                           experience_version, user_id, workflow_state, progress,
                           shown_revision, created_at)
SELECT e.account_id, e.conversation_id,
       (e.data->>'course_id')::bigint, (e.data->>'experience_id')::bigint,
       (e.data->>'experience_version')::bigint, (e.data->>'user_id')::bigint, 'active',
       CASE WHEN jsonb_array_length(e.data->'objectives') > 0 THEN
            json_build_object(
                'current', 0,
                'total', jsonb_array_length(e.data->'objectives'),
                'percentage', 0,
                'objectives', (SELECT json_agg(json_build_object('objective', o.objective, 'status', '')
                                               ORDER BY o.place)
                                 FROM jsonb_array_elements_text(e.data->'objectives')
                                      WITH ORDINALITY AS o (objective, place)))
       END,
       e.revision, e.recorded_at
  FROM events e
 WHERE e.account_id = apply.account
   AND e.position > apply.after_position AND e.position <= apply.upto_position
   AND e.type = 'conversation_started.v1';
