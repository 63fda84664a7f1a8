-- The first and the last day (UTC) on which something happened in a course; null where nothing did.
SELECT min(d.day) AS first, max(d.day) AS last
  FROM analytics.daily_course_activity d
 WHERE d.account_id = $1 AND d.course_id = $2
