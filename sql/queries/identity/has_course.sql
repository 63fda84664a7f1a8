SELECT EXISTS (SELECT FROM courses WHERE account_id = $1 AND course_id = $2)
