CREATE OR REPLACE FUNCTION public.leaf_hashes_v1(account bigint, after_position bigint, upto_position bigint)
 RETURNS bytea
 LANGUAGE sql
 STABLE SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT coalesce(
        string_agg(sha256('\x00'::bytea || convert_to(event_line_v1(e), 'UTF8')), ''::bytea
                   ORDER BY e.position), '')
      FROM events e
     WHERE e.account_id = leaf_hashes_v1.account
       AND e.position > leaf_hashes_v1.after_position
       AND e.position <= leaf_hashes_v1.upto_position
$function$;
