-- The progress of the conversations opened from $4 to $5 (UTC), and of their learners: of each
-- experience of a course, or only of $3.
SELECT c.experience_id AS ai_experience_id,
       count(*) AS opened,
       count(*) FILTER (WHERE c.replies > 0) AS replied,
       count(*) FILTER (WHERE c.completed_at IS NOT NULL) AS completed,
       count(*) FILTER (WHERE c.objectives > 0) AS with_objectives,
       count(*) FILTER (WHERE c.all_objectives_met_at IS NOT NULL) AS met,
       count(DISTINCT c.user_id) AS learners_opened,
       count(DISTINCT c.user_id) FILTER (WHERE c.replies > 0) AS learners_replied,
       count(DISTINCT c.user_id) FILTER (WHERE c.completed_at IS NOT NULL) AS learners_completed,
       count(DISTINCT c.user_id) FILTER (WHERE c.objectives > 0) AS learners_with_objectives,
       count(DISTINCT c.user_id) FILTER (WHERE c.all_objectives_met_at IS NOT NULL)
       AS learners_met,
       sum(c.objectives)::bigint AS objectives, sum(c.objectives_covered)::bigint AS covered
  FROM analytics.conversation_facts c
 WHERE c.account_id = $1 AND c.course_id = $2
   AND ($3::bigint IS NULL OR c.experience_id = $3)
   AND c.started_at >= ($4::date)::timestamp AT TIME ZONE 'UTC'
   AND c.started_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
 GROUP BY 1
 ORDER BY 1
