INSERT INTO enrollments (account_id, course_id, user_id, role, status)
VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account_id, course_id, user_id)
    DO UPDATE SET role = excluded.role, status = excluded.status
