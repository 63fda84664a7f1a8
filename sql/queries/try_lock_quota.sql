-- Whoever is close to their limit is counted and recorded one request at a time, over all processes.
SELECT pg_try_advisory_lock(hashtextextended('colloquy quota ' || $1 || ' ' || $2 || ' ' || $3, 0))
