-- Constraints that were created NOT VALID, and whether all rows meet them now.
SELECT c.conrelid::regclass::text AS relation, c.conname AS name,
       validate_constraint_v1(c.conrelid, c.conname) AS met
  FROM pg_constraint c
 WHERE NOT c.convalidated AND c.contype = 'c'
   AND c.connamespace = 'public'::regnamespace
