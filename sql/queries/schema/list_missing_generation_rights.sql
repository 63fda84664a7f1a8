-- Missing rights of readers of live projections, as statements (see guard_table_v1).
WITH live AS (
    SELECT p.name, p.schema_name, p.tables, p.readers
      FROM projections p JOIN pg_namespace n ON n.nspname = p.schema_name
     WHERE p.state = 'live'
), owned AS (
    SELECT c.oid, format('%I.%I', l.schema_name, c.relname) AS called, c.relrowsecurity
      FROM live l JOIN pg_class c ON c.relnamespace = l.schema_name::regnamespace
     WHERE c.relkind IN ('r', 'p')
), readable AS (
    SELECT format('%I.%I', s.name, r.relation) AS called, l.readers
      FROM live l CROSS JOIN unnest(l.tables) AS r (relation)
     CROSS JOIN LATERAL (VALUES (l.schema_name), ('read'), ('analytics')) AS s (name)
)
SELECT format('GRANT USAGE ON SCHEMA %I TO %I', l.schema_name, r.reader) AS statement
  FROM live l CROSS JOIN unnest(l.readers) AS r (reader)
 WHERE NOT has_schema_privilege(r.reader, l.schema_name, 'USAGE')
UNION ALL
SELECT format('GRANT SELECT ON %s TO %I', t.called, r.reader)
  FROM readable t CROSS JOIN unnest(t.readers) AS r (reader)
 WHERE to_regclass(t.called) IS NOT NULL AND NOT has_table_privilege(r.reader, t.called, 'SELECT')
UNION ALL
SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.called)
  FROM owned t WHERE NOT t.relrowsecurity
UNION ALL
SELECT format('CREATE POLICY %I ON %s FOR SELECT TO %s USING (%s)',
              p.name, t.called, p.roles, p.condition)
  FROM owned t
 CROSS JOIN (VALUES
        ('account_entered', 'colloquy_service', 'account_id = current_account_v1()'),
        ('account_granted', 'colloquy_analyst',
         'account_id = ANY ((SELECT granted_accounts_v1())::bigint[])'),
        ('every_account', 'colloquy_worker, colloquy_auditor', 'true'))
       AS p (name, roles, condition)
 WHERE NOT EXISTS (SELECT FROM pg_policy q WHERE q.polrelid = t.oid AND q.polname = p.name)
 ORDER BY 1
