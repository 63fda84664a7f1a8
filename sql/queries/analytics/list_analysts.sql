SELECT a.role_name, a.made_at, r.rolvaliduntil AS expires_at,
       CASE WHEN r.oid IS NULL THEN 'missing'
            WHEN NOT r.rolcanlogin THEN 'closed'
            WHEN r.rolvaliduntil <= now() THEN 'expired'
            ELSE 'active' END AS state,
       ARRAY(SELECT g.account_id FROM analyst_accounts g
              WHERE g.role_name = a.role_name ORDER BY g.account_id) AS accounts
  FROM analysts a LEFT JOIN pg_roles r ON r.rolname = a.role_name
 ORDER BY a.role_name
