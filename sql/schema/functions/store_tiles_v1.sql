CREATE OR REPLACE FUNCTION public.store_tiles_v1(account bigint, levels integer[], indexes bigint[], hashes bytea[])
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
    INSERT INTO tree_tiles AS t (account_id, level, index, hashes)
    SELECT store_tiles_v1.account, n.level, n.index, n.hashes
      FROM unnest(store_tiles_v1.levels, store_tiles_v1.indexes, store_tiles_v1.hashes)
           AS n (level, index, hashes)
        ON CONFLICT (account_id, level, index) DO UPDATE SET hashes = excluded.hashes
$function$;
