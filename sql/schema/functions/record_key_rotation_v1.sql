CREATE OR REPLACE FUNCTION public.record_key_rotation_v1(account bigint, size bigint, root bytea, note text)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO key_rotations (account_id, size, root, note)
    VALUES (record_key_rotation_v1.account, record_key_rotation_v1.size,
            record_key_rotation_v1.root, record_key_rotation_v1.note)
$function$;
