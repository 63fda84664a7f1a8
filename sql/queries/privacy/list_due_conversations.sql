-- Conversations after conversation $2 that have texts which a retention rule expires at time $3, or
-- now if $3 is null.
-- A course's own rule precedes the account's (course 0).
SELECT v.conversation_id, v.user_id, due.days,
       CASE WHEN own.course_id IS NULL THEN 'account' ELSE 'course' END AS rule,
       kept.texts,
       EXISTS (SELECT FROM read.legal_holds h
                WHERE h.account_id = $1 AND h.user_id = v.user_id
                  AND h.released_at IS NULL) AS held
  FROM read.conversations v
  LEFT JOIN LATERAL (
       SELECT r.course_id, r.days FROM read.retention_rules r
        WHERE r.account_id = $1 AND r.course_id = v.course_id
       OFFSET 0) own ON true
  LEFT JOIN read.retention_rules common ON common.account_id = $1 AND common.course_id = 0
 CROSS JOIN LATERAL (
       SELECT CASE WHEN own.course_id IS NULL THEN common.days ELSE own.days END AS days) due
 CROSS JOIN LATERAL (
       SELECT count(*) AS texts
         FROM events e
        CROSS JOIN LATERAL (
              SELECT FROM event_content c
               WHERE c.account_id = $1 AND c.position = e.position
              OFFSET 0) text
        WHERE e.account_id = $1 AND e.conversation_id = v.conversation_id
          AND e.position > coalesce(v.text_removed_upto, 0)) kept
 WHERE v.account_id = $1 AND v.conversation_id > $2 AND v.workflow_state = 'completed'
   AND v.completed_at <= coalesce($3::timestamptz, clock_timestamp()) - make_interval(days => due.days::int)
   AND kept.texts > 0
 ORDER BY v.conversation_id
 LIMIT $4
