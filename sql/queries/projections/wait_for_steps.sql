-- A step keeps the projection's row from being locked until it ends, its very first in an account
-- as well; those that begin later see the pause.
SELECT p.generation FROM projections p WHERE p.name = $1 AND p.state = 'live' FOR UPDATE
