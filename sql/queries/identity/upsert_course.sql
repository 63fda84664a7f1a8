INSERT INTO courses (account_id, course_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
