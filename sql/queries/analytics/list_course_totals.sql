-- An account's courses after course $4, each with its activity from $2 to $3 (UTC). $6: how many to
-- skip.
SELECT c.course_id, t.learners, a.*
  FROM (SELECT k.course_id FROM courses k
         WHERE k.account_id = $1 AND k.course_id > $4
         ORDER BY k.course_id
         LIMIT $5 OFFSET $6) c
 CROSS JOIN LATERAL (
       SELECT coalesce(sum(d.conversations_opened), 0)::bigint AS conversations,
              coalesce(sum(d.messages), 0)::bigint AS messages,
              coalesce(sum(d.replies), 0)::bigint AS replies,
              coalesce(sum(d.failed_turns), 0)::bigint AS failed,
              coalesce(sum(d.cancelled_turns), 0)::bigint AS cancelled,
              coalesce(sum(d.objectives_covered), 0)::bigint AS objectives_covered,
              coalesce(sum(d.cost_microusd), 0)::bigint AS cost_microusd,
              coalesce(sum(d.unpriced), 0)::bigint AS unpriced
         FROM analytics.daily_course_activity d
        WHERE d.account_id = $1 AND d.course_id = c.course_id AND d.day >= $2 AND d.day <= $3) a
 CROSS JOIN LATERAL (
       SELECT count(DISTINCT f.user_id) AS learners
         FROM analytics.turn_facts f
        WHERE f.account_id = $1 AND f.course_id = c.course_id AND f.kind <> 'evaluation'
          AND f.requested_at >= ($2::date)::timestamp AT TIME ZONE 'UTC'
          AND f.requested_at < ($3::date + 1)::timestamp AT TIME ZONE 'UTC') t
 ORDER BY c.course_id
