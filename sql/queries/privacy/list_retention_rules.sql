SELECT r.course_id, r.days, r.set_at FROM read.retention_rules r
 WHERE r.account_id = $1
 ORDER BY r.course_id
