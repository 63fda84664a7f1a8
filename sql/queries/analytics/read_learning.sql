-- The source of learning records: events of account $1 and types $4 with positions ($2, $3], each
-- with its conversation (in course $5, if given), the experience's title at that time, and the
-- number of objectives covered so far. Conversations that began before an erasure of their learner
-- are left out, and events in them of other users who were erased later. Each row looks up what it
-- needs, so that a window costs the same in a long log: hence LIMIT and max. The streams come
-- first, since under row-level security no condition inside JSON can use an index.
WITH found AS MATERIALIZED (
    SELECT e.position, e.event_id, e.type, e.conversation_id, e.recorded_at, e.data,
           (e.data->>'user_id')::bigint AS actor_id,
           'learner-' || (e.data->>'user_id') AS actor_stream
      FROM events e
     WHERE e.account_id = $1 AND e.position > $2 AND e.position <= $3 AND e.type = ANY ($4::text[])
), started AS MATERIALIZED (
    SELECT c.conversation_id, s.position, s.recorded_at AS started_at,
           (s.data->>'course_id')::bigint AS course_id,
           (s.data->>'experience_id')::bigint AS experience_id,
           (s.data->>'user_id')::bigint AS user_id,
           jsonb_array_length(s.data->'objectives') AS objectives,
           'learner-' || (s.data->>'user_id') AS learner_stream,
           'experience-' || (s.data->>'experience_id') AS experience_stream,
           (s.data->>'experience_version')::bigint AS experience_version
      FROM (SELECT DISTINCT f.conversation_id FROM found f) c
     CROSS JOIN LATERAL (
           SELECT e.position, e.recorded_at, e.data FROM events e
            WHERE e.account_id = $1 AND e.conversation_id = c.conversation_id
              AND e.type = 'conversation_started.v1'
            ORDER BY e.position
            LIMIT 1) s
), kept AS MATERIALIZED (
    SELECT s.*,
           (SELECT max(x.data->>'title') FROM events x
             WHERE x.account_id = $1 AND x.stream = s.experience_stream
               AND x.revision = s.experience_version) AS title
      FROM started s
     WHERE ($5::bigint IS NULL OR s.course_id = $5)
       AND s.position > coalesce((
           SELECT max(g.position) FROM events g
            WHERE g.account_id = $1 AND g.stream = s.learner_stream
              AND g.type = 'learner_erased.v1'), 0)
)
SELECT f.position, f.event_id, f.conversation_id, f.recorded_at, f.data, f.actor_id,
       k.course_id, k.experience_id, k.user_id, k.started_at, k.objectives, k.title,
       CASE WHEN f.type = 'objectives_assessed.v1' THEN (
           SELECT count(DISTINCT c.covered->>'objective')
             FROM events a, jsonb_array_elements(a.data->'covered') AS c (covered)
            WHERE a.account_id = $1 AND a.conversation_id = f.conversation_id
              AND a.type = 'objectives_assessed.v1' AND a.position <= f.position)
       ELSE 0 END AS covered
  FROM found f
  JOIN kept k ON k.conversation_id = f.conversation_id
 WHERE f.actor_stream IS NULL OR f.actor_stream = k.learner_stream
    OR f.position > coalesce((
       SELECT max(g.position) FROM events g
        WHERE g.account_id = $1 AND g.stream = f.actor_stream AND g.type = 'learner_erased.v1'), 0)
 ORDER BY f.position
