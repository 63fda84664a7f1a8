-- Reads of the data of learner $3, the latest first. $2: the stream of these reads. The stream
-- "access" has reads of the whole log or of a course. A conversation is named if it is the
-- learner's.
SELECT e.recorded_at AS read_at, (e.metadata->'actor'->>'id')::bigint AS reader_id,
       (SELECT u.name FROM users u
         WHERE u.account_id = $1 AND u.user_id = (e.metadata->'actor'->>'id')::bigint)
       AS reader_name,
       e.metadata->'actor'->>'role' AS role,
       (e.metadata->>'real_user_id')::bigint AS acting_user_id,
       e.data->>'what' AS what,
       (SELECT v.conversation_id FROM read.conversations v
         WHERE v.account_id = $1 AND v.user_id = $3
           AND v.conversation_id = (e.data->>'conversation_id')::bigint) AS conversation_id,
       (e.data->>'course_id')::bigint AS course_id
  FROM unnest(ARRAY[$2, 'access']) AS told (stream)
 CROSS JOIN LATERAL (
       SELECT r.position, r.stream, r.conversation_id, r.data, r.metadata, r.recorded_at
         FROM events r
        WHERE r.account_id = $1 AND r.stream = told.stream AND r.type = 'history_read.v1'
       OFFSET 0) e
 WHERE e.stream = $2
    OR e.conversation_id IS NULL
       AND (e.data->>'course_id' IS NULL
            OR (e.data->>'course_id')::bigint = ANY (ARRAY(
               SELECT v.course_id FROM read.conversations v
                WHERE v.account_id = $1 AND v.user_id = $3)))
 ORDER BY e.position DESC
