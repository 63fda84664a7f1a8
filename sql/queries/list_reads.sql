-- Who read what is kept about a learner ($3), the latest first. $2: the stream that tells it. The
-- stream "access" tells who read all of the log, or of a course.
SELECT e.recorded_at AS read_at, (e.metadata->'actor'->>'id')::bigint AS reader_id,
       u.name AS reader_name, e.metadata->'actor'->>'role' AS role,
       (e.metadata->>'real_user_id')::bigint AS acting_user_id,
       e.data->>'what' AS what, (e.data->>'conversation_id')::bigint AS conversation_id,
       (e.data->>'course_id')::bigint AS course_id, e.data->>'reason' AS reason
  FROM events e
  LEFT JOIN users u ON u.account_id = e.account_id
       AND u.user_id = (e.metadata->'actor'->>'id')::bigint
 WHERE e.account_id = $1 AND e.stream IN ($2, 'access') AND e.type = 'history_read.v1'
   AND (e.stream = $2
        OR e.conversation_id IS NULL
           AND (e.data->>'course_id' IS NULL
                OR (e.data->>'course_id')::bigint IN (
                   SELECT v.course_id FROM read.conversations v
                    WHERE v.account_id = $1 AND v.user_id = $3)))
 ORDER BY e.position DESC
