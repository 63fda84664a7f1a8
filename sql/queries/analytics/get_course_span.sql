-- The first and the last day (UTC) with activity in a course; null without any.
SELECT min(d.day) AS first, max(d.day) AS last
  FROM analytics.daily_course_activity d
 WHERE d.account_id = $1 AND d.course_id = $2
