-- What several statements read, written once. None of this changes its columns: a statement that
-- was prepared before would fail. What needs others is a view or a function of another name.

-- read.experiences is made after the migrations.
SET LOCAL check_function_bodies = off;

-- What the checks of a request need, but for the conversation. Of an account: who shows this token,
-- or is called this subject by its identity provider, or is the user whom that names, and acts as
-- another where that is given. It has neither the owner's rights nor settings, for the planner to
-- take it for a part of the statement: joins whose columns are not asked for are then left out.
-- CASE, because row-level security lets no condition with COALESCE look into an index.
CREATE FUNCTION get_access_v1(account bigint, token_hash bytea, named_user bigint, subject text,
                              as_user bigint, course bigint, experience bigint)
RETURNS TABLE (token_id bigint, real_user_id bigint, user_id bigint, scopes text[], admin boolean,
               stale boolean, course_id bigint, role text, experience_id bigint,
               experience_state text, experience_version bigint)
LANGUAGE sql STABLE ROWS 1 AS $$
    SELECT t.token_id, bearer.user_id,
           CASE WHEN get_access_v1.as_user IS NULL THEN bearer.user_id
                ELSE (SELECT u.user_id FROM public.users u
                       WHERE u.account_id = get_access_v1.account
                         AND u.user_id = get_access_v1.as_user) END,
           t.scopes, t.admin,
           coalesce(t.revoked_at IS NOT NULL OR t.expires_at <= now(), false),
           c.course_id, m.role, x.experience_id, x.workflow_state, x.version
      FROM (VALUES (1)) one
      LEFT JOIN public.tokens t ON t.token_hash = get_access_v1.token_hash
            AND t.account_id = get_access_v1.account
     CROSS JOIN LATERAL (
           SELECT CASE WHEN t.user_id IS NOT NULL THEN t.user_id
                       WHEN get_access_v1.named_user IS NOT NULL THEN get_access_v1.named_user
                       WHEN get_access_v1.subject IS NOT NULL THEN (
                           SELECT i.user_id FROM public.identities i
                            WHERE i.account_id = get_access_v1.account
                              AND i.subject = get_access_v1.subject) END AS user_id) bearer
     CROSS JOIN LATERAL (
           SELECT CASE WHEN get_access_v1.as_user IS NULL THEN bearer.user_id
                       ELSE get_access_v1.as_user END AS user_id) acting
      LEFT JOIN public.courses c ON c.account_id = get_access_v1.account
            AND c.course_id = get_access_v1.course
      LEFT JOIN LATERAL (
           SELECT r.role FROM public.enrollments r
            WHERE r.account_id = get_access_v1.account AND r.course_id = get_access_v1.course
              AND r.user_id = acting.user_id AND r.status = 'active'
           OFFSET 0) m ON true
      LEFT JOIN read.experiences x ON x.account_id = get_access_v1.account
            AND x.experience_id = get_access_v1.experience
            AND x.course_id = get_access_v1.course
$$;
GRANT EXECUTE ON FUNCTION get_access_v1 TO colloquy_service;

-- Events as they are read back, with what was said in them. Whoever asks needs rights of their own
-- to the tables, and sees the rows of these that they may.
CREATE VIEW recorded_events WITH (security_invoker = true) AS
SELECT e.account_id, e.position, e.stream, e.revision, e.event_id, e.type, e.conversation_id,
       e.data, e.metadata, e.recorded_at, e.content_hash,
       (SELECT c.content FROM event_content c
         WHERE c.account_id = e.account_id AND c.position = e.position) AS content
  FROM events e;
GRANT SELECT ON recorded_events TO colloquy_service, colloquy_auditor;

-- How far each generation of a projection stands for each account's log. An inline projection is
-- applied with each append. lag_seconds is null where nothing waits.
CREATE VIEW projection_positions AS
SELECT p.name, p.version, p.generation, p.mode, p.state, p.stable_schema, h.account_id,
       applied.position, h.position AS head, h.position - applied.position AS lag_events,
       CASE WHEN waiting.recorded_at IS NOT NULL THEN
           greatest(0, extract(epoch FROM statement_timestamp() - waiting.recorded_at)::float8) END
       AS lag_seconds,
       c.error, c.error_position, poison.type AS error_type, c.error_at,
       z.name IS NOT NULL AS paused
  FROM projections p
 CROSS JOIN log_heads h
  LEFT JOIN projection_checkpoints c
         ON c.name = p.name AND c.generation = p.generation AND c.account_id = h.account_id
 CROSS JOIN LATERAL (
       SELECT CASE WHEN p.mode = 'inline' AND p.state = 'live' THEN h.position
                   ELSE coalesce(c.position, 0) END AS position) applied
  LEFT JOIN projection_pauses z ON z.name = p.name AND p.state = 'live'
  LEFT JOIN events waiting
         ON waiting.account_id = h.account_id AND waiting.position = applied.position + 1
  LEFT JOIN events poison
         ON poison.account_id = c.account_id AND poison.position = c.error_position;
GRANT SELECT ON projection_positions TO colloquy_worker;

-- With the owner's rights, since nobody else may see the log; so it looks itself who asks, before
-- any condition of theirs sees a row.
CREATE OR REPLACE VIEW analytics.freshness WITH (security_barrier = true) AS
SELECT f.account_id, f.name AS projection, f.version, f.position, f.head, f.lag_events,
       coalesce(f.lag_seconds, 0) AS lag_seconds, f.error AS last_error, f.error_position,
       f.error_at, f.paused
  FROM projection_positions f
 WHERE f.state = 'live' AND f.stable_schema = 'analytics'
   AND f.account_id = ANY ((SELECT visible_accounts_v1())::bigint[]);
