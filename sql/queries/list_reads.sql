-- Who read what is kept about a learner, the latest first. $2: the stream that tells it.
SELECT e.recorded_at AS read_at, (e.metadata->'actor'->>'id')::bigint AS reader_id,
       u.name AS reader_name, e.metadata->'actor'->>'role' AS role,
       (e.metadata->>'real_user_id')::bigint AS acting_user_id,
       e.data->>'what' AS what, (e.data->>'conversation_id')::bigint AS conversation_id,
       e.data->>'reason' AS reason
  FROM events e
  LEFT JOIN users u ON u.account_id = e.account_id
       AND u.user_id = (e.metadata->'actor'->>'id')::bigint
 WHERE e.account_id = $1 AND e.stream = $2 AND e.type = 'history_read.v1'
 ORDER BY e.revision DESC
