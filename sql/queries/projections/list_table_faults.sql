-- What the tables of a confined projection lack. $3 and $4: tables, and for each the column by
-- whose day exports are split.
WITH checked AS (
    SELECT p.*, n.oid AS schema_oid
      FROM projections p JOIN pg_namespace n ON n.nspname = p.schema_name
     WHERE p.name = $1 AND p.generation = $2
), tables AS (
    SELECT c.oid, c.relname, c.relname = ANY (k.tables) AS shown
      FROM pg_class c JOIN checked k ON k.schema_oid = c.relnamespace
     WHERE c.relkind = 'r'
), columns AS (
    SELECT t.oid, t.relname, t.shown, a.attname, a.attnum, a.attnotnull,
           format_type(a.atttypid, a.atttypmod) AS type,
           col_description(t.oid, a.attnum) AS note
      FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid
     WHERE a.attnum > 0 AND NOT a.attisdropped
)
SELECT format('tables.sql does not make the table %s, which projection.toml names', named.relation) AS fault
  FROM checked k CROSS JOIN unnest(k.tables) AS named (relation)
 WHERE NOT EXISTS (SELECT FROM tables t WHERE t.relname = named.relation)
UNION ALL
SELECT format('%s has no column account_id bigint NOT NULL', t.relname)
  FROM tables t
 WHERE NOT EXISTS (SELECT FROM columns c
                    WHERE c.oid = t.oid AND c.attname = 'account_id' AND c.type = 'bigint'
                      AND c.attnotnull)
UNION ALL
SELECT format('%s has no column position bigint NOT NULL (of the last event that changed the row), '
              'by which exports go on', t.relname)
  FROM tables t
 WHERE t.shown AND NOT EXISTS (SELECT FROM columns c
                                WHERE c.oid = t.oid AND c.attname = 'position'
                                  AND c.type = 'bigint' AND c.attnotnull)
UNION ALL
SELECT format('%s has no primary key that begins with account_id', t.relname)
  FROM tables t
 WHERE t.shown AND NOT EXISTS (SELECT FROM pg_index i
                                 JOIN columns c ON c.oid = t.oid AND c.attnum = i.indkey[0]
                                WHERE i.indrelid = t.oid AND i.indisprimary
                                  AND c.attname = 'account_id')
UNION ALL
SELECT format('there is no COMMENT ON TABLE %s', t.relname)
  FROM tables t WHERE t.shown AND obj_description(t.oid, 'pg_class') IS NULL
UNION ALL
SELECT format('there is no COMMENT ON COLUMN %s.%s', c.relname, c.attname)
  FROM columns c WHERE c.shown AND c.note IS NULL
UNION ALL
SELECT format('%s.%s, which days names, is no column of type timestamptz or date',
              day.relation, day.name)
  FROM unnest($3::text[], $4::text[]) AS day (relation, name)
 WHERE NOT EXISTS (SELECT FROM columns c
                    WHERE c.relname = day.relation AND c.attname = day.name
                      AND c.type IN ('timestamp with time zone', 'date'))
UNION ALL
SELECT format('the view %s.%s of %s belongs to another projection', v.stable_schema, v.view_name,
              v.relation)
  FROM stable_views_v1($1, $2) v
 WHERE to_regclass(format('%I.%I', v.stable_schema, v.view_name)) IS NOT NULL
   AND NOT EXISTS (SELECT FROM projections p
                    CROSS JOIN LATERAL stable_views_v1(p.name, p.generation) live
                    WHERE p.name = $1 AND p.state = 'live'
                      AND (live.stable_schema, live.view_name) = (v.stable_schema, v.view_name))
