CREATE OR REPLACE FUNCTION public.is_removal_recorded_v1(account bigint, text_position bigint, subject bigint)
 RETURNS boolean
 LANGUAGE sql
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT EXISTS (
        SELECT FROM log_heads h
          JOIN events e ON e.account_id = h.account_id AND e.position = h.position
         WHERE h.account_id = is_removal_recorded_v1.account
           AND e.xmin = pg_current_xact_id()::xid
           AND e.type = 'learner_erased.v1'
           AND (e.data->>'user_id')::bigint = is_removal_recorded_v1.subject)
    OR coalesce((
        SELECT e.position > is_removal_recorded_v1.text_position
               AND e.xmin = pg_current_xact_id()::xid
               AND e.type = 'text_expired.v1'
          FROM events e
         WHERE e.account_id = is_removal_recorded_v1.account
           AND e.conversation_id = (
               SELECT t.conversation_id FROM events t
                WHERE t.account_id = is_removal_recorded_v1.account
                  AND t.position = is_removal_recorded_v1.text_position)
         ORDER BY e.position DESC
         LIMIT 1), false)
$function$;
