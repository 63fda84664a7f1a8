CREATE OR REPLACE FUNCTION public.whole_number_v1(told jsonb)
 RETURNS bigint
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
    SELECT jsonb_path_query_first(
        told, 'strict $ ? (@ >= 0 && @ <= 1000000000000 && @.floor() == @)')::bigint
$function$;
