CREATE OR REPLACE FUNCTION public.compare_generations_v1(name text, old_generation integer, new_generation integer, most integer)
 RETURNS TABLE(relation text, standing text, added text[], removed text[], only_old bigint, only_new bigint, changed bigint, samples text)
 LANGUAGE plpgsql
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
    old_one   projections%ROWTYPE;
    new_one   projections%ROWTYPE;
    old_table regclass;
    new_table regclass;
    columns   text;
    keys      text;
BEGIN
    SELECT * INTO STRICT old_one FROM projections p
     WHERE p.name = compare_generations_v1.name AND p.generation = old_generation;
    SELECT * INTO STRICT new_one FROM projections p
     WHERE p.name = compare_generations_v1.name AND p.generation = new_generation;
    FOR relation IN SELECT unnest(old_one.tables) UNION SELECT unnest(new_one.tables) ORDER BY 1 LOOP
        old_table := CASE WHEN relation = ANY (old_one.tables)
                          THEN to_regclass(format('%I.%I', old_one.schema_name, relation)) END;
        new_table := CASE WHEN relation = ANY (new_one.tables)
                          THEN to_regclass(format('%I.%I', new_one.schema_name, relation)) END;
        SELECT '{}', '{}', 0, 0, 0, '[]' INTO added, removed, only_old, only_new, changed, samples;
        standing := CASE WHEN old_table IS NULL THEN 'new' WHEN new_table IS NULL THEN 'old'
                         ELSE 'both' END;
        IF standing = 'both' THEN
            SELECT string_agg(c.compared, ', '),
                   coalesce(string_agg(quote_ident(c.attname), ', ') FILTER (WHERE c.in_key),
                            string_agg(quote_ident(c.attname), ', '))
              INTO columns, keys
              FROM common_columns_v1(old_table, new_table) c;
            SELECT coalesce(array_agg(a.attname::text ORDER BY a.attnum)
                                FILTER (WHERE a.attrelid = new_table), '{}'),
                   coalesce(array_agg(a.attname::text ORDER BY a.attnum)
                                FILTER (WHERE a.attrelid = old_table), '{}')
              INTO added, removed
              FROM pg_attribute a
             WHERE a.attrelid IN (old_table, new_table) AND a.attnum > 0 AND NOT a.attisdropped
               AND a.attname NOT IN (SELECT c.attname
                                       FROM common_columns_v1(old_table, new_table) c);
            EXECUTE format(
                'WITH gone AS (SELECT (SELECT to_jsonb(k) FROM (SELECT %3$s) k) AS key, '
                '                     to_jsonb(x) AS line '
                '                FROM (SELECT %4$s FROM %1$s EXCEPT ALL SELECT %4$s FROM %2$s) x), '
                '     come AS (SELECT (SELECT to_jsonb(k) FROM (SELECT %3$s) k) AS key, '
                '                     to_jsonb(x) AS line '
                '                FROM (SELECT %4$s FROM %2$s EXCEPT ALL SELECT %4$s FROM %1$s) x), '
                '     pairs AS (SELECT key, g.line AS old, c.line AS new '
                '                 FROM gone g FULL JOIN come c USING (key)) '
                'SELECT count(*) FILTER (WHERE p.new IS NULL), '
                '       count(*) FILTER (WHERE p.old IS NULL), '
                '       count(*) FILTER (WHERE p.old IS NOT NULL AND p.new IS NOT NULL), '
                '       (SELECT coalesce(jsonb_agg(CASE WHEN $2 THEN to_jsonb(s) '
                '                                       ELSE jsonb_build_object(''key'', s.key) END), '
                '                        ''[]'')::text '
                '          FROM (SELECT * FROM pairs ORDER BY key LIMIT $1) s) '
                '  FROM pairs p',
                old_table, new_table, keys, columns)
              INTO only_old, only_new, changed, samples
             USING most, old_one.stable_schema = 'analytics' AND new_one.stable_schema = 'analytics';
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;
