-- The latest evaluation of a conversation; stale if the experience was edited since.
SELECT v.evaluation, v.experience_version < $3 AS stale
  FROM read.evaluations v
 WHERE v.account_id = $1 AND v.conversation_id = $2
 ORDER BY v.position DESC
 LIMIT 1
