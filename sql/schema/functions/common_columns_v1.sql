CREATE OR REPLACE FUNCTION public.common_columns_v1(old_table regclass, new_table regclass)
 RETURNS TABLE(attname name, compared text, in_key boolean)
 LANGUAGE sql
 STABLE
 SET search_path TO 'public', 'pg_temp'
AS $function$
    SELECT n.attname,
           format(CASE WHEN n.atttypid = o.atttypid AND n.atttypid <> 'json'::regtype
                       THEN '%1$I' ELSE '%1$I::text AS %1$I' END, n.attname),
           EXISTS (SELECT FROM pg_index i WHERE i.indrelid = new_table AND i.indisprimary
                                            AND n.attnum = ANY (i.indkey))
      FROM pg_attribute n
      JOIN pg_attribute o ON o.attrelid = old_table AND o.attname = n.attname
                         AND o.attnum > 0 AND NOT o.attisdropped
     WHERE n.attrelid = new_table AND n.attnum > 0 AND NOT n.attisdropped
     ORDER BY n.attnum
$function$;
