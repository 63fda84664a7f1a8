-- A course's activity on each day (UTC) from $3 to $4, including days without any.
SELECT $3::date + n AS day, coalesce(a.active_learners, 0) AS learners,
       coalesce(a.conversations_opened, 0) AS conversations, coalesce(a.messages, 0) AS messages,
       coalesce(a.replies, 0) AS replies, coalesce(a.failed_turns, 0) AS failed,
       coalesce(a.cancelled_turns, 0) AS cancelled,
       coalesce(a.objectives_covered, 0) AS objectives_covered,
       coalesce(a.cost_microusd, 0) AS cost_microusd, coalesce(a.unpriced, 0) AS unpriced
  FROM generate_series(0, $4::date - $3::date) n
  LEFT JOIN analytics.daily_course_activity a
         ON a.account_id = $1 AND a.course_id = $2 AND a.day = $3::date + n
        AND a.day >= $3 AND a.day <= $4
 ORDER BY day
