-- Adds what happened to a conversation in the range to the row that is there.
INSERT INTO conversations AS c (
    account_id, conversation_id, course_id, experience_id, experience_version, user_id,
    workflow_state, progress, shown_revision, all_objectives_met, created_at, completed_at,
    text_removed_at, text_removed_upto)
SELECT k.account_id, k.conversation_id, k.course_id, k.experience_id, k.experience_version,
       k.user_id, CASE WHEN n.completed_at IS NULL THEN k.workflow_state ELSE 'completed' END,
       coalesce(p.progress, k.progress), greatest(k.shown_revision, n.revision),
       k.all_objectives_met OR coalesce(p.met, false), k.created_at,
       coalesce(n.completed_at, k.completed_at), coalesce(n.removed_at, k.text_removed_at),
       coalesce(n.removed_upto, k.text_removed_upto)
  FROM (SELECT e.conversation_id, max(e.revision) AS revision,
               max(e.recorded_at) FILTER (WHERE e.type = 'conversation_completed.v1')
               AS completed_at,
               max(e.recorded_at) FILTER (WHERE e.type = 'text_expired.v1') AS removed_at,
               max(e.position) FILTER (WHERE e.type = 'text_expired.v1') AS removed_upto,
               jsonb_path_query_array(
                   jsonb_agg(e.data->'covered') FILTER (WHERE e.type = 'objectives_assessed.v1'),
                   '$[*][*].objective') AS covered
          FROM events e
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND (e.type IN ('feedback_given.v1', 'feedback_withdrawn.v1',
                           'conversation_completed.v1', 'text_expired.v1')
                OR e.type = 'objectives_assessed.v1' AND e.data->'covered' <> '[]')
         GROUP BY e.conversation_id) n
 CROSS JOIN LATERAL (
       SELECT r.* FROM conversations r
        WHERE r.account_id = apply.account AND r.conversation_id = n.conversation_id
       OFFSET 0) k
  LEFT JOIN LATERAL (
       SELECT json_build_object(
                  'current', count(*) FILTER (WHERE o.covered),
                  'total', count(*),
                  'percentage', round(100.0 * count(*) FILTER (WHERE o.covered) / count(*)),
                  'objectives', json_agg(json_build_object(
                      'objective', o.objective,
                      'status', CASE WHEN o.covered THEN 'covered' ELSE '' END) ORDER BY o.place))
              AS progress,
              bool_and(o.covered) AS met
         FROM (SELECT q.value->>'objective' AS objective, q.place,
                      q.value->>'status' = 'covered' OR n.covered @> to_jsonb(q.place) AS covered
                 FROM json_array_elements(k.progress->'objectives')
                      WITH ORDINALITY AS q (value, place)
                WHERE n.covered IS NOT NULL) o
       HAVING count(*) > 0) p ON true
    ON CONFLICT (account_id, conversation_id) DO UPDATE SET
       workflow_state = excluded.workflow_state, progress = excluded.progress,
       shown_revision = excluded.shown_revision,
       all_objectives_met = excluded.all_objectives_met, completed_at = excluded.completed_at,
       text_removed_at = excluded.text_removed_at, text_removed_upto = excluded.text_removed_upto;
