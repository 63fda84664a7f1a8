-- Disabled triggers on our tables; triggers refuse changes of the log.
SELECT t.tgname AS name, t.tgrelid::regclass::text AS relation
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'public'::regnamespace AND t.tgenabled NOT IN ('O', 'A')
 ORDER BY 2, 1
