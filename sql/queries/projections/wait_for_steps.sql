-- Waits for steps under way, each of which holds a lock on the projection's row, even its first
-- step in an account; later steps see the pause.
SELECT p.generation FROM projections p WHERE p.name = $1 AND p.state = 'live' FOR UPDATE
