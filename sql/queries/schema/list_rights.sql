-- The rights of the service's roles on objects of migrations and projections, and the revocations
-- for all others, except for objects of generations: each as the statement that grants or revokes
-- it.
WITH roles AS (
    SELECT r.oid, r.rolname FROM pg_roles r WHERE r.rolname = ANY ($1::text[])
), schemas AS (
    SELECT n.oid, n.nspname, n.nspacl
      FROM pg_namespace n WHERE n.nspname IN ('public', 'read', 'analytics')
), relations AS (
    SELECT c.oid, format('%I.%I', s.nspname, c.relname) AS called, c.relacl
      FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'S')
), functions AS (
    SELECT format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid))
               AS called,
           coalesce(p.proacl, acldefault('f', p.proowner)) AS acl
      FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
     WHERE NOT EXISTS (SELECT FROM pg_depend d
                        WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid
                          AND d.deptype = 'e')
)
SELECT format('GRANT %s ON SCHEMA %I TO %I', a.privilege_type, s.nspname, r.rolname) AS statement
  FROM schemas s, aclexplode(s.nspacl) a JOIN roles r ON r.oid = a.grantee
UNION ALL
SELECT format('GRANT %s ON %s TO %I', a.privilege_type, t.called, r.rolname)
  FROM relations t, aclexplode(t.relacl) a JOIN roles r ON r.oid = a.grantee
UNION ALL
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', f.called, r.rolname)
  FROM functions f, aclexplode(f.acl) a JOIN roles r ON r.oid = a.grantee
UNION ALL
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f.called)
  FROM functions f
 WHERE NOT EXISTS (SELECT FROM aclexplode(f.acl) a WHERE a.grantee = 0)
UNION ALL
SELECT format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.called)
  FROM relations t JOIN pg_class c USING (oid) WHERE c.relrowsecurity
UNION ALL
SELECT format('CREATE POLICY %I ON %s FOR %s TO %s USING (%s)', p.polname, t.called,
              CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                            WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
              (SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname)
                 FROM pg_roles r WHERE r.oid = ANY (p.polroles)),
              pg_get_expr(p.polqual, p.polrelid))
  FROM pg_policy p JOIN relations t ON t.oid = p.polrelid
UNION ALL
SELECT 'ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC'
 WHERE EXISTS (SELECT FROM pg_default_acl d
                WHERE d.defaclrole = current_user::regrole AND d.defaclobjtype = 'f'
                  AND d.defaclnamespace = 0
                  AND NOT EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE a.grantee = 0))
 ORDER BY 1
