-- In one row, what the checks of a request need: get_access_v1 of $1 to $7, and conversation $8.
SELECT a.*, v.user_id AS conversation_user_id, v.workflow_state AS conversation_state, h.position
  FROM get_access_v1($1, $2, $3, $4, $5, $6, $7) a
  LEFT JOIN LATERAL (
       SELECT r.user_id, r.workflow_state, r.experience_id FROM read.conversations r
        WHERE r.account_id = $1 AND r.conversation_id = $8
       OFFSET 0) v ON v.experience_id = $7
  LEFT JOIN log_heads h ON h.account_id = $1
