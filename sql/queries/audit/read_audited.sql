-- At most $4 events of account $1 with positions above $2 and up to $3, for auditors. Filters:
-- conversation $5, types $6, actor $7, learner $8, experience $9, course $10. An event's learner,
-- experience and course are those of its conversation, else of its own fields or its stream's name;
-- for a conversation that never opened, those of the request for it. The statement is planned for
-- each call, so that absent filters cost nothing: so a page's texts can be joined, which the view
-- `recorded_events` looks up one by one.
SELECT e.account_id, e.position, e.stream, e.revision, e.event_id, e.type, e.conversation_id,
       e.data, e.metadata, e.recorded_at, e.content_hash, c.content
  FROM events e
  LEFT JOIN event_content c ON c.account_id = e.account_id AND c.position = e.position
  LEFT JOIN read.conversations v
         ON v.account_id = e.account_id AND v.conversation_id = e.conversation_id
 WHERE e.account_id = $1 AND e.position > $2 AND e.position <= $3
   AND ($5::bigint IS NULL OR e.conversation_id = $5)
   AND ($6::text[] IS NULL OR e.type = ANY ($6))
   AND ($7::bigint IS NULL OR (e.metadata->'actor'->>'id')::bigint = $7)
   AND ($8::bigint IS NULL OR $8 = coalesce(
        v.user_id,
        substring(e.stream FROM '^dialogue-[0-9]+-([0-9]+)$')::bigint,
        substring(e.stream FROM '^(?:learner|access)-([0-9]+)$')::bigint))
   AND ($9::bigint IS NULL OR $9 = coalesce(
        v.experience_id,
        (e.data->>'experience_id')::bigint,
        substring(e.stream FROM '^dialogue-([0-9]+)-[0-9]+$')::bigint))
   AND ($10::bigint IS NULL OR $10 = coalesce(v.course_id, (e.data->>'course_id')::bigint)
        OR (v.course_id IS NULL AND NOT e.data ? 'course_id' AND EXISTS (
            SELECT FROM events o
             WHERE o.account_id = $1 AND o.conversation_id = e.conversation_id
               AND o.type = 'opening_requested.v1' AND (o.data->>'course_id')::bigint = $10)))
 ORDER BY e.position
 LIMIT $4
