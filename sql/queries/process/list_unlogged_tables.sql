-- Our unlogged tables, which a crash empties.
SELECT c.relname::text AS relation
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
   AND c.relpersistence <> 'p'
 ORDER BY 1
