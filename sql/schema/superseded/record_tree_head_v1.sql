CREATE OR REPLACE FUNCTION public.record_tree_head_v1(account bigint, size bigint, root bytea, note text, sealed_at timestamp with time zone)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
    IF record_tree_head_v1.size > coalesce(
           (SELECT h.position FROM log_heads h
             WHERE h.account_id = record_tree_head_v1.account), 0)
       OR EXISTS (SELECT FROM tree_heads t
                   WHERE t.account_id = record_tree_head_v1.account
                     AND t.size >= record_tree_head_v1.size) THEN
        RAISE EXCEPTION 'a checkpoint of size % does not fit the log of account %',
            record_tree_head_v1.size, record_tree_head_v1.account
            USING ERRCODE = 'check_violation';
    END IF;
    INSERT INTO tree_heads (account_id, size, root, note, sealed_at)
    VALUES (record_tree_head_v1.account, record_tree_head_v1.size, record_tree_head_v1.root,
            record_tree_head_v1.note, record_tree_head_v1.sealed_at);
END
$function$;
