SELECT p.name AS projection, p.version, p.interface, t.relation AS name,
       format('LOCK TABLE analytics.%I IN ACCESS SHARE MODE', t.relation) AS lock
  FROM projections p
 CROSS JOIN unnest(p.tables) AS t (relation)
 WHERE p.state = 'live' AND p.stable_schema = 'analytics'
 ORDER BY t.relation
