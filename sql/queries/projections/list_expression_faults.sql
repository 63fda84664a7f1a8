-- What the statements and columns of a confined projection use besides events, their own tables and
-- PostgreSQL's immutable functions.
WITH checked AS (
    SELECT p.*, n.oid AS schema_oid
      FROM projections p JOIN pg_namespace n ON n.nspname = p.schema_name
     WHERE p.name = $1 AND p.generation = $2
), expressions AS (
    SELECT 'a statement' AS place, f.oid AS made, f.prosqlbody::text AS tree
      FROM pg_proc f JOIN checked k ON k.schema_oid = f.pronamespace
    UNION ALL
    SELECT format('a default of %s', c.relname), NULL, d.adbin::text
      FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
      JOIN checked k ON k.schema_oid = c.relnamespace
    UNION ALL
    SELECT format('a constraint of %s', c.relname), NULL, s.conbin::text
      FROM pg_constraint s JOIN pg_class c ON c.oid = s.conrelid
      JOIN checked k ON k.schema_oid = c.relnamespace
     WHERE s.conbin IS NOT NULL
    UNION ALL
    SELECT format('an index of %s', c.relname), NULL,
           concat(i.indexprs::text, i.indpred::text)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
      JOIN checked k ON k.schema_oid = c.relnamespace
), called AS (
    SELECT DISTINCT x.place, f.proname, f.provolatile, f.pronamespace
      FROM expressions x
     CROSS JOIN LATERAL regexp_matches(
               x.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid) (\d+)', 'g') AS found (oid)
      JOIN pg_proc f ON f.oid = found.oid[1]::oid
)
SELECT format('%s calls %s(), which %s', c.place, c.proname,
              CASE WHEN c.pronamespace <> 'pg_catalog'::regnamespace
                   THEN 'is no function of PostgreSQL itself'
                   ELSE 'does more than compute, or depends on more than its arguments' END) AS fault
  FROM called c
 WHERE c.pronamespace <> 'pg_catalog'::regnamespace OR c.provolatile = 'v'
    OR c.provolatile = 's'
       AND c.proname ~ ('^(now|transaction_timestamp|statement_timestamp|current_.*|inet_.*|'
                        'version|session_user|user|pg_.*|has_.*|row_security_active|.*_to_xml.*|'
                        'getdatabaseencoding|txid_.*|age|to_reg.*|.*_description|getpgusername|'
                        'ts_.*|get_current_ts_config)$')
UNION ALL
SELECT format('%s uses CURRENT_DATE, CURRENT_USER or the like: an event''s time is recorded_at', x.place)
  FROM expressions x WHERE x.tree LIKE '%{SQLVALUEFUNCTION %'
UNION ALL
SELECT format('%s counts with a sequence: the numbers would not be the same again', x.place)
  FROM expressions x WHERE x.tree LIKE '%{NEXTVALUEEXPR %'
UNION ALL
SELECT DISTINCT format('%s uses %s, and may use events and the projection''s own tables only', x.place,
                       r.oid[1]::oid::regclass)
  FROM expressions x
 CROSS JOIN LATERAL regexp_matches(x.tree, ':relid (\d+)', 'g') AS r (oid)
 WHERE r.oid[1] <> '0' AND r.oid[1]::oid <> 'public.events'::regclass
   AND NOT EXISTS (SELECT FROM pg_class c JOIN checked k ON k.schema_oid = c.relnamespace
                    WHERE c.oid = r.oid[1]::oid AND c.relkind = 'r')
UNION ALL
SELECT DISTINCT format('a statement uses %s, and may use events and the projection''s own tables only',
                       pg_describe_object(d.refclassid, d.refobjid, 0))
  FROM expressions x
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = x.made
  LEFT JOIN pg_type t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
 WHERE d.refclassid <> ALL (ARRAY['pg_class', 'pg_namespace', 'pg_collation', 'pg_language']::regclass[])
   AND (t.oid IS NULL OR t.typnamespace NOT IN (SELECT k.schema_oid FROM checked k))
