CREATE OR REPLACE FUNCTION public.hash_request_key_v1(inner_key bytea, outer_key bytea, key text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE STRICT
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT 'hmac-sha256 ' || encode(
               sha256(hash_request_key_v1.outer_key || sha256(
                   hash_request_key_v1.inner_key
                       || convert_to(hash_request_key_v1.key, 'UTF8'))), 'hex')
$function$;
