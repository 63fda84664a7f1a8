-- Roles that this login cannot take on, each with the statement that would allow it.
SELECT w.name,
       CASE WHEN r.oid IS NULL THEN format('CREATE ROLE %I NOLOGIN', w.name)
            ELSE format('GRANT %I TO %I', w.name, session_user) END AS statement
  FROM unnest($1::text[]) AS w (name)
  LEFT JOIN pg_roles r ON r.rolname = w.name
 WHERE r.oid IS NULL
    OR NOT CASE WHEN current_setting('server_version_num')::int >= 160000
                THEN pg_has_role(session_user, r.oid, 'SET')
                ELSE pg_has_role(session_user, r.oid, 'MEMBER') END
 ORDER BY w.name
