-- The same as a course's days, of experience $3, from $4 to $5. Events count for the day on which
-- they were recorded, so turns that were requested earlier are read, too.
WITH turns AS (
    SELECT t.user_id, t.kind, t.retry, t.outcome,
           (t.requested_at AT TIME ZONE 'UTC')::date AS asked_on,
           (t.ended_at AT TIME ZONE 'UTC')::date AS ended_on, t.cost_microusd,
           t.assessment_outcome, t.assessment_cost_microusd
      FROM analytics.turn_facts t
     WHERE t.account_id = $1 AND t.course_id = $2 AND t.experience_id = $3
       AND t.requested_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
), asked AS (
    SELECT t.asked_on AS day, count(DISTINCT t.user_id) AS learners,
           count(*) FILTER (WHERE t.kind = 'message' AND NOT coalesce(t.retry, false))
           AS messages
      FROM turns t
     WHERE t.kind <> 'evaluation'
     GROUP BY 1
), ended AS (
    SELECT t.ended_on AS day,
           count(*) FILTER (WHERE t.kind = 'opening' AND t.outcome = 'completed') AS conversations,
           count(*) FILTER (WHERE t.kind = 'message' AND t.outcome = 'completed') AS replies,
           count(*) FILTER (WHERE t.kind <> 'evaluation' AND t.outcome = 'failed') AS failed,
           count(*) FILTER (WHERE t.kind <> 'evaluation' AND t.outcome = 'cancelled') AS cancelled,
           coalesce(sum(t.cost_microusd), 0) + coalesce(sum(t.assessment_cost_microusd), 0)
           AS cost_microusd,
           count(*) FILTER (WHERE t.cost_microusd IS NULL)
           + count(*) FILTER (WHERE t.assessment_outcome IS NOT NULL
                                AND t.assessment_cost_microusd IS NULL) AS unpriced
      FROM turns t
     GROUP BY 1
), covered AS (
    SELECT (o.covered_at AT TIME ZONE 'UTC')::date AS day, count(*) AS objectives_covered
      FROM analytics.objective_facts o
     WHERE o.account_id = $1 AND o.course_id = $2 AND o.experience_id = $3
       AND o.started_at < ($5::date + 1)::timestamp AT TIME ZONE 'UTC'
     GROUP BY 1
)
SELECT $4::date + n AS day, coalesce(a.learners, 0) AS learners,
       coalesce(e.conversations, 0) AS conversations, coalesce(a.messages, 0) AS messages,
       coalesce(e.replies, 0) AS replies, coalesce(e.failed, 0) AS failed,
       coalesce(e.cancelled, 0) AS cancelled,
       coalesce(c.objectives_covered, 0) AS objectives_covered,
       coalesce(e.cost_microusd, 0)::bigint AS cost_microusd, coalesce(e.unpriced, 0) AS unpriced
  FROM generate_series(0, $5::date - $4::date) n
  LEFT JOIN asked a ON a.day = $4::date + n
  LEFT JOIN ended e ON e.day = $4::date + n
  LEFT JOIN covered c ON c.day = $4::date + n
 ORDER BY day
