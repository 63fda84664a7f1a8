-- Tables of ours that a crash empties, since what is written to them is in no write-ahead log.
SELECT c.relname::text AS relation
  FROM pg_class c
 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
   AND c.relpersistence <> 'p'
 ORDER BY 1
