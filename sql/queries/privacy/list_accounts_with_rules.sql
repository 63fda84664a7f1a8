SELECT DISTINCT r.account_id FROM read.retention_rules r WHERE r.days IS NOT NULL ORDER BY 1
