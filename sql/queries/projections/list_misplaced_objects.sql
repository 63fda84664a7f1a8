-- What a confined projection's definition has created besides its own ordinary tables and their
-- indexes, and what it has dropped that others need. One sentence a row.
WITH checked AS (
    SELECT p.*, n.oid AS schema_oid
      FROM projections p JOIN pg_namespace n ON n.nspname = p.schema_name
     WHERE p.name = $1 AND p.generation = $2
), owned AS (
    SELECT d.classid, d.objid
      FROM pg_shdepend d
     WHERE d.dbid = (SELECT b.oid FROM pg_database b WHERE b.datname = current_database())
       AND d.refclassid = 'pg_authid'::regclass AND d.refobjid = 'colloquy_projector'::regrole
       AND d.deptype = 'o'
), meant AS (
    SELECT 'pg_class'::regclass AS classid, c.oid AS objid
      FROM pg_class c JOIN checked k ON k.schema_oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'p'
    UNION ALL
    SELECT 'pg_proc'::regclass, f.oid
      FROM pg_proc f JOIN checked k ON k.schema_oid = f.pronamespace
     WHERE f.proname = 'apply' AND f.prosecdef AND f.prosqlbody IS NOT NULL
       AND f.proargtypes = '20 20 20'::oidvector
       AND f.proconfig = ARRAY[format('search_path=%I, public, pg_temp', k.schema_name),
                               'TimeZone=UTC']
    UNION ALL
    SELECT o.classid, o.objid
      FROM owned o
      JOIN projections p ON p.confined AND (p.name, p.generation) <> ($1, $2)
      JOIN pg_namespace n ON n.nspname = p.schema_name
      LEFT JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
      LEFT JOIN pg_proc f ON o.classid = 'pg_proc'::regclass AND f.oid = o.objid
     WHERE n.oid = coalesce(c.relnamespace, f.pronamespace)
), tables AS (
    SELECT c.*, k.schema_name
      FROM pg_class c JOIN checked k ON k.schema_oid = c.relnamespace
     WHERE c.relkind = 'r'
)
SELECT format('tables.sql makes %s, and may make permanent tables and indexes only',
              pg_describe_object(o.classid, o.objid, 0)) AS fault
  FROM owned o
 WHERE NOT EXISTS (SELECT FROM meant m WHERE (m.classid, m.objid) = (o.classid, o.objid))
UNION ALL
SELECT format('%s has a trigger, or a foreign key', t.relname)
  FROM tables t WHERE EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.oid)
UNION ALL
SELECT format('%s has a rule', t.relname)
  FROM tables t WHERE EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = t.oid)
UNION ALL
SELECT format('%s has row-level security or rights of its own', t.relname)
  FROM tables t
 WHERE t.relrowsecurity OR t.relforcerowsecurity OR t.relacl IS NOT NULL
    OR EXISTS (SELECT FROM pg_policy l WHERE l.polrelid = t.oid)
    OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attacl IS NOT NULL)
UNION ALL
SELECT format('%s inherits or is inherited from', t.relname)
  FROM tables t
 WHERE EXISTS (SELECT FROM pg_inherits i WHERE t.oid IN (i.inhrelid, i.inhparent))
UNION ALL
SELECT format('%s has the name of a table of Colloquy or of PostgreSQL', t.relname)
  FROM tables t
 WHERE EXISTS (SELECT FROM pg_class c
                WHERE c.relname = t.relname
                  AND c.relnamespace IN ('public'::regnamespace, 'pg_catalog'::regnamespace))
UNION ALL
SELECT 'tables.sql or a statement takes apart what other projections need'
 WHERE NOT has_table_privilege('colloquy_projector', 'public.events', 'SELECT')
    OR EXISTS (SELECT FROM projections p CROSS JOIN unnest(p.tables) AS named (relation)
                WHERE p.confined AND (p.name, p.generation) <> ($1, $2)
                  AND (to_regclass(format('%I.%I', p.schema_name, named.relation)) IS NULL
                       OR NOT EXISTS (SELECT FROM pg_proc f
                                       WHERE f.proname = 'apply' AND f.prosecdef
                                         AND f.pronamespace = to_regnamespace(
                                                 quote_ident(p.schema_name)))))
