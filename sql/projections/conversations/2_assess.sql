UPDATE conversations c
   SET (progress, all_objectives_met, shown_revision) = (
       SELECT json_build_object(
                  'current', count(*) FILTER (WHERE o.covered),
                  'total', count(*),
                  'percentage', round(100.0 * count(*) FILTER (WHERE o.covered) / count(*)),
                  'objectives', json_agg(json_build_object(
                      'objective', o.objective,
                      'status', CASE WHEN o.covered THEN 'covered' ELSE '' END) ORDER BY o.place)),
              bool_and(o.covered), greatest(c.shown_revision, n.revision)
         FROM (SELECT p.value->>'objective' AS objective, p.place,
                      p.value->>'status' = 'covered' OR p.place = ANY (n.objectives) AS covered
                 FROM json_array_elements(c.progress->'objectives')
                      WITH ORDINALITY AS p (value, place)) o)
  FROM (SELECT e.conversation_id, max(e.revision) AS revision,
               array_agg((o.value->>'objective')::bigint) AS objectives
          FROM events e, jsonb_array_elements(e.data->'covered') AS o (value)
         WHERE e.account_id = apply.account
           AND e.position > apply.after_position AND e.position <= apply.upto_position
           AND e.type = 'objectives_assessed.v1'
         GROUP BY e.conversation_id) n
 WHERE c.account_id = apply.account AND c.conversation_id = n.conversation_id
   AND c.progress IS NOT NULL;
