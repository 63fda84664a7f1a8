-- A stage that was come to in this range has a position in it, and only then it is counted. An
-- objective is covered once and for all, so covered ones can be counted as they come. The rows that
-- are there are found by a look-up each, whatever the statistics say.
WITH moved AS (
    INSERT INTO conversation_stages AS c (
        account_id, conversation_id, course_id, experience_id, user_id, objectives, covered,
        opened, opened_at, replied, completed, met)
    SELECT k.account_id, k.conversation_id, k.course_id, k.experience_id, k.user_id,
           k.objectives, n.covered, k.opened, k.opened_at, n.replied, n.completed, n.covered_last
      FROM (SELECT e.conversation_id,
                   coalesce(sum(jsonb_array_length(e.data->'covered')), 0)::bigint AS covered,
                   max(e.position) FILTER (WHERE e.data->'covered' <> '[]') AS covered_last,
                   min(e.position) FILTER (WHERE e.type = 'reply_completed.v1') AS replied,
                   min(e.position) FILTER (WHERE e.type = 'conversation_completed.v1') AS completed
              FROM events e
             WHERE e.account_id = apply.account
               AND e.position > apply.after_position AND e.position <= apply.upto_position
               AND e.type IN ('conversation_started.v1', 'reply_completed.v1',
                              'objectives_assessed.v1', 'conversation_completed.v1')
             GROUP BY e.conversation_id) n
     CROSS JOIN LATERAL (
           SELECT r.* FROM conversation_stages r
            WHERE r.account_id = apply.account AND r.conversation_id = n.conversation_id
           OFFSET 0) k
        ON CONFLICT (account_id, conversation_id) DO UPDATE SET
           covered = c.covered + excluded.covered,
           replied = coalesce(c.replied, excluded.replied),
           completed = coalesce(c.completed, excluded.completed),
           met = CASE WHEN excluded.covered > 0
                       AND c.covered + excluded.covered = c.objectives
                      THEN excluded.met ELSE c.met END
    RETURNING c.*
), staged AS (
    SELECT m.course_id, m.experience_id, m.user_id, s.stage, count(*) AS conversations,
           max(s.position) AS position, min(m.opened_at) AS opened_at
      FROM moved m,
           LATERAL (VALUES ('opened', m.opened), ('replied', m.replied),
                           ('completed', m.completed), ('met', m.met),
                           ('with_objectives', CASE WHEN m.objectives > 0 THEN m.opened END)
           ) AS s (stage, position)
     WHERE s.position > apply.after_position
     GROUP BY m.course_id, m.experience_id, m.user_id, s.stage
), fresh AS (
    INSERT INTO learner_stages (account_id, course_id, experience_id, user_id, stage)
    SELECT apply.account, s.course_id, s.experience_id, s.user_id, s.stage FROM staged s
        ON CONFLICT DO NOTHING
    RETURNING course_id, experience_id, stage
), counted AS (
    SELECT s.course_id, s.experience_id, s.stage, s.conversations, 0 AS learners, s.position,
           s.opened_at
      FROM staged s
     UNION ALL
    SELECT f.course_id, f.experience_id, f.stage, 0, 1, 0, NULL FROM fresh f
)
INSERT INTO experience_funnel AS x (
    account_id, course_id, experience_id, first_opened_at, conversations_opened,
    conversations_replied, conversations_completed, conversations_with_objectives,
    conversations_met, learners_opened, learners_replied, learners_completed,
    learners_with_objectives, learners_met, position)
SELECT apply.account, c.course_id, c.experience_id, min(c.opened_at),
       coalesce(sum(c.conversations) FILTER (WHERE c.stage = 'opened'), 0),
       coalesce(sum(c.conversations) FILTER (WHERE c.stage = 'replied'), 0),
       coalesce(sum(c.conversations) FILTER (WHERE c.stage = 'completed'), 0),
       coalesce(sum(c.conversations) FILTER (WHERE c.stage = 'with_objectives'), 0),
       coalesce(sum(c.conversations) FILTER (WHERE c.stage = 'met'), 0),
       coalesce(sum(c.learners) FILTER (WHERE c.stage = 'opened'), 0),
       coalesce(sum(c.learners) FILTER (WHERE c.stage = 'replied'), 0),
       coalesce(sum(c.learners) FILTER (WHERE c.stage = 'completed'), 0),
       coalesce(sum(c.learners) FILTER (WHERE c.stage = 'with_objectives'), 0),
       coalesce(sum(c.learners) FILTER (WHERE c.stage = 'met'), 0),
       max(c.position)
  FROM counted c
 GROUP BY c.course_id, c.experience_id
    ON CONFLICT (account_id, course_id, experience_id) DO UPDATE SET
       first_opened_at = least(x.first_opened_at, excluded.first_opened_at),
       conversations_opened = x.conversations_opened + excluded.conversations_opened,
       conversations_replied = x.conversations_replied + excluded.conversations_replied,
       conversations_completed = x.conversations_completed + excluded.conversations_completed,
       conversations_with_objectives =
           x.conversations_with_objectives + excluded.conversations_with_objectives,
       conversations_met = x.conversations_met + excluded.conversations_met,
       learners_opened = x.learners_opened + excluded.learners_opened,
       learners_replied = x.learners_replied + excluded.learners_replied,
       learners_completed = x.learners_completed + excluded.learners_completed,
       learners_with_objectives = x.learners_with_objectives + excluded.learners_with_objectives,
       learners_met = x.learners_met + excluded.learners_met,
       position = greatest(x.position, excluded.position);
