-- The first event of a dialogue and of an evaluation names its course: one look-up a stream.
-- An objective is covered once and for all, so covered ones can be counted as they come.
WITH said AS (
    SELECT e.stream, (e.recorded_at AT TIME ZONE 'UTC')::date AS day,
           count(*) FILTER (WHERE e.type = 'conversation_started.v1') AS opened,
           count(*) FILTER (WHERE e.type = 'conversation_completed.v1') AS completed,
           count(*) FILTER (WHERE e.type = 'message_posted.v1') AS messages,
           count(*) FILTER (WHERE e.type = 'reply_completed.v1') AS replies,
           count(*) FILTER (WHERE e.type IN ('opening_failed.v1', 'reply_failed.v1')
                              AND e.data->>'code' <> 'cancelled') AS failed,
           count(*) FILTER (WHERE e.type = 'reply_cancelled.v1'
                               OR e.type IN ('opening_failed.v1', 'reply_failed.v1')
                              AND e.data->>'code' = 'cancelled') AS cancelled,
           sum(jsonb_array_length(e.data->'covered')) AS covered,
           count(*) FILTER (WHERE e.data->>'vote' = 'liked') AS liked,
           count(*) FILTER (WHERE e.data->>'vote' = 'disliked') AS disliked,
           count(*) FILTER (WHERE e.type = 'evaluation_recorded.v1') AS evaluations,
           sum(whole_number_v1(r.record->'cost_microusd')) AS cost_microusd,
           count(*) FILTER (
               WHERE e.type NOT IN ('opening_requested.v1', 'message_posted.v1',
                                    'feedback_given.v1', 'conversation_completed.v1')
                 AND whole_number_v1(r.record->'cost_microusd') IS NULL) AS unpriced,
           max(e.position) AS position
      FROM events e,
           LATERAL (SELECT coalesce(e.data->'reply', e.data->'judgement', e.data)) r (record)
     WHERE e.account_id = apply.account
       AND e.position > apply.after_position AND e.position <= apply.upto_position
       AND e.type IN ('opening_requested.v1', 'opening_failed.v1', 'conversation_started.v1',
                      'message_posted.v1', 'reply_completed.v1', 'reply_failed.v1',
                      'reply_cancelled.v1', 'turn_released.v1', 'objectives_assessed.v1',
                      'assessment_failed.v1', 'evaluation_recorded.v1', 'evaluation_failed.v1', 'feedback_given.v1',
                      'conversation_completed.v1')
     GROUP BY e.stream, 2
), assessed AS (
    SELECT n.*, k.objectives, k.covered AS covered_before
      FROM (SELECT e.conversation_id, min(e.stream) AS stream,
                   max((e.recorded_at AT TIME ZONE 'UTC')::date) AS day,
                   sum(jsonb_array_length(e.data->'covered')) AS covered
              FROM events e
             WHERE e.account_id = apply.account
               AND e.position > apply.after_position AND e.position <= apply.upto_position
               AND e.type = 'objectives_assessed.v1' AND e.data->'covered' <> '[]'
             GROUP BY e.conversation_id) n
     CROSS JOIN LATERAL (
           SELECT r.objectives, r.covered FROM conversation_progress r
            WHERE r.account_id = apply.account AND r.conversation_id = n.conversation_id
           OFFSET 0) k
), progressed AS (
    INSERT INTO conversation_progress AS p (account_id, conversation_id, objectives, covered)
    SELECT apply.account, a.conversation_id, a.objectives, a.covered FROM assessed a
        ON CONFLICT (account_id, conversation_id) DO UPDATE SET
           covered = p.covered + excluded.covered
), active AS (
    INSERT INTO active_learners (account_id, course_id, day, user_id)
    SELECT DISTINCT e.account_id, (e.data->>'course_id')::bigint,
           (e.recorded_at AT TIME ZONE 'UTC')::date, (e.data->>'user_id')::bigint
      FROM events e
     WHERE e.account_id = apply.account
       AND e.position > apply.after_position AND e.position <= apply.upto_position
       AND e.type IN ('opening_requested.v1', 'message_posted.v1', 'message_retried.v1')
        ON CONFLICT DO NOTHING
    RETURNING course_id, day
), noted AS (
    SELECT 0 AS met, s.* FROM said s
     UNION ALL
    SELECT 1, a.stream, a.day, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
      FROM assessed a
     WHERE a.covered_before + a.covered = a.objectives
), counted AS (
    SELECT 0 AS active, d.course_id, n.*
      FROM noted n,
           LATERAL (SELECT (b.data->>'course_id')::bigint AS course_id
                      FROM events b
                     WHERE b.account_id = apply.account AND b.stream = n.stream
                       AND b.revision = 1 LIMIT 1) d
     UNION ALL
    SELECT 1, a.course_id, 0, NULL, a.day, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM active a
)
INSERT INTO daily_course_activity AS x (
    account_id, course_id, day, active_learners, conversations_opened, conversations_completed,
    messages, replies, failed_turns, cancelled_turns, objectives_covered, conversations_met,
    votes_liked, votes_disliked, evaluations, cost_microusd, unpriced, position)
SELECT apply.account, c.course_id, c.day, sum(c.active), sum(c.opened), sum(c.completed),
       sum(c.messages), sum(c.replies), sum(c.failed), sum(c.cancelled),
       coalesce(sum(c.covered), 0), sum(c.met), sum(c.liked), sum(c.disliked),
       sum(c.evaluations), coalesce(sum(c.cost_microusd), 0), sum(c.unpriced), max(c.position)
  FROM counted c
 GROUP BY c.course_id, c.day
    ON CONFLICT (account_id, course_id, day) DO UPDATE SET
       active_learners = x.active_learners + excluded.active_learners,
       conversations_opened = x.conversations_opened + excluded.conversations_opened,
       conversations_completed = x.conversations_completed + excluded.conversations_completed,
       messages = x.messages + excluded.messages,
       replies = x.replies + excluded.replies,
       failed_turns = x.failed_turns + excluded.failed_turns,
       cancelled_turns = x.cancelled_turns + excluded.cancelled_turns,
       objectives_covered = x.objectives_covered + excluded.objectives_covered,
       conversations_met = x.conversations_met + excluded.conversations_met,
       votes_liked = x.votes_liked + excluded.votes_liked,
       votes_disliked = x.votes_disliked + excluded.votes_disliked,
       evaluations = x.evaluations + excluded.evaluations,
       cost_microusd = x.cost_microusd + excluded.cost_microusd,
       unpriced = x.unpriced + excluded.unpriced,
       position = greatest(x.position, excluded.position);
