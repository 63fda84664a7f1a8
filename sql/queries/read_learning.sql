-- What records of learning are made of: events of account $1 and types $4 with positions ($2, $3],
-- each with the conversation that it is of (in course $5, if one is named), the title that the
-- experience had then, and how many objectives were covered up to there. Left out are conversations
-- that began before an erasure of their learner, and what others did in them who were erased after.
-- Streams are named in steps of their own, since row-level security lets no condition inside JSON
-- use an index.
WITH found AS MATERIALIZED (
    SELECT e.position, e.event_id, e.type, e.conversation_id, e.recorded_at, e.data,
           'learner-' || (e.data->>'user_id') AS actor_stream
      FROM events e
     WHERE e.account_id = $1 AND e.position > $2 AND e.position <= $3 AND e.type = ANY ($4::text[])
), started AS MATERIALIZED (
    SELECT s.conversation_id, s.position, s.recorded_at AS started_at,
           (s.data->>'course_id')::bigint AS course_id,
           (s.data->>'experience_id')::bigint AS experience_id,
           (s.data->>'user_id')::bigint AS user_id,
           jsonb_array_length(s.data->'objectives') AS objectives,
           'learner-' || (s.data->>'user_id') AS learner_stream,
           'experience-' || (s.data->>'experience_id') AS experience_stream,
           (s.data->>'experience_version')::bigint AS experience_version
      FROM (SELECT DISTINCT f.conversation_id FROM found f) c
      JOIN events s ON s.account_id = $1 AND s.conversation_id = c.conversation_id
                   AND s.type = 'conversation_started.v1'
)
SELECT f.position, f.event_id, f.conversation_id, f.recorded_at, f.data,
       s.course_id, s.experience_id, s.user_id, s.started_at, s.objectives,
       x.data->>'title' AS title,
       CASE WHEN f.type = 'objectives_assessed.v1' THEN (
           SELECT count(DISTINCT c.covered->>'objective')
             FROM events a, jsonb_array_elements(a.data->'covered') AS c (covered)
            WHERE a.account_id = $1 AND a.conversation_id = f.conversation_id
              AND a.type = 'objectives_assessed.v1' AND a.position <= f.position)
       ELSE 0 END AS covered
  FROM found f
  JOIN started s ON s.conversation_id = f.conversation_id
  LEFT JOIN events x ON x.account_id = $1 AND x.stream = s.experience_stream
                    AND x.revision = s.experience_version
 WHERE ($5::bigint IS NULL OR s.course_id = $5)
   AND NOT EXISTS (
       SELECT FROM events g
        WHERE g.account_id = $1 AND g.stream = s.learner_stream
          AND g.type = 'learner_erased.v1' AND g.position > s.position)
   AND NOT EXISTS (
       SELECT FROM events g
        WHERE g.account_id = $1 AND g.stream = f.actor_stream
          AND g.type = 'learner_erased.v1' AND g.position > f.position)
 ORDER BY f.position
