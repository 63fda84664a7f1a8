CREATE OR REPLACE FUNCTION public.check_guards_v1(account bigint, guards jsonb[], refusals text[], today date)
 RETURNS text[]
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    refusals := ARRAY(
        SELECT coalesce(u.refusal, find_change_v1(check_guards_v1.account, u.guard))
          FROM unnest(check_guards_v1.refusals, check_guards_v1.guards)
               WITH ORDINALITY AS u (refusal, guard, item)
         ORDER BY u.item);
    RETURN ARRAY(
        SELECT CASE WHEN l.refusal IS NULL AND l.used + l.place > (l.quota->>'most')::bigint
                    THEN 'limit' ELSE l.refusal END
          FROM (SELECT u.refusal, u.item, u.guard->'limit' AS quota,
                       count(*) FILTER (WHERE u.refusal IS NULL)
                           OVER (PARTITION BY u.guard->'limit'->'user_id',
                                              u.guard->'limit'->'kind' ORDER BY u.item) AS place,
                       CASE WHEN u.refusal IS NULL AND u.guard ? 'limit' THEN coalesce((
                           SELECT c.requests FROM read.request_counts c
                            WHERE c.account_id = check_guards_v1.account
                              AND c.user_id = (u.guard->'limit'->>'user_id')::bigint
                              AND c.day = check_guards_v1.today
                              AND c.kind = u.guard->'limit'->>'kind'), 0) END AS used
                  FROM unnest(refusals, check_guards_v1.guards)
                       WITH ORDINALITY AS u (refusal, guard, item)) l
         ORDER BY l.item);
END
$function$;
