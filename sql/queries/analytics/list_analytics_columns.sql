-- A view's key is that of its table; a view of several tables has none.
SELECT v.relname AS view, a.attname AS name, format_type(a.atttypid, NULL) AS type,
       col_description(a.attrelid, a.attnum) AS meaning,
       obj_description(v.oid, 'pg_class') AS grain, place.place AS key
  FROM pg_class v
  JOIN pg_attribute a ON a.attrelid = v.oid AND a.attnum > 0
 CROSS JOIN LATERAL (
        SELECT CASE count(DISTINCT d.refobjid) WHEN 1 THEN min(d.refobjid::int8)::oid END AS shown
          FROM pg_rewrite r
          JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
           AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
         WHERE r.ev_class = v.oid) AS source
  LEFT JOIN pg_attribute b ON b.attrelid = source.shown AND b.attname = a.attname
  LEFT JOIN pg_index i ON i.indrelid = source.shown AND i.indisprimary
  LEFT JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS place (attnum, place)
         ON place.attnum = b.attnum
 WHERE v.relnamespace = 'analytics'::regnamespace AND v.relkind = 'v'
   AND ($1::text IS NULL OR v.relname = $1)
 ORDER BY v.relname, a.attnum
