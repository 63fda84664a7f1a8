SELECT experience_id, title, workflow_state FROM read.experiences
 WHERE account_id = $1 AND course_id = $2
 ORDER BY experience_id
