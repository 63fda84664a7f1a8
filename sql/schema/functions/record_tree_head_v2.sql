CREATE OR REPLACE FUNCTION public.record_tree_head_v2(account bigint, size bigint, root bytea, note text, sealed_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    said  text := split_part(record_tree_head_v2.note, E'\n', 1);
    known text := log_origin_v1(record_tree_head_v2.account);
BEGIN
    IF known <> said THEN
        RAISE EXCEPTION 'a checkpoint of % does not fit the log %', said, known
            USING ERRCODE = 'check_violation';
    END IF;
    PERFORM record_tree_head_v1(
        record_tree_head_v2.account, record_tree_head_v2.size, record_tree_head_v2.root,
        record_tree_head_v2.note, record_tree_head_v2.sealed_at);
    IF known IS NULL THEN
        INSERT INTO log_origins (account_id, origin, since_size)
        VALUES (record_tree_head_v2.account, said, record_tree_head_v2.size);
    END IF;
END
$function$;
