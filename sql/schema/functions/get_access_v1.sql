CREATE OR REPLACE FUNCTION public.get_access_v1(account bigint, token_hash bytea, named_user bigint, subject text, as_user bigint, course bigint, experience bigint)
 RETURNS TABLE(token_id bigint, real_user_id bigint, user_id bigint, scopes text[], admin boolean, stale boolean, course_id bigint, role text, experience_id bigint, experience_state text, experience_version bigint)
 LANGUAGE sql
 STABLE ROWS 1
AS $function$
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
$function$;
