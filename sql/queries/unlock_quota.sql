SELECT pg_advisory_unlock(hashtextextended('colloquy quota ' || $1 || ' ' || $2 || ' ' || $3, 0))
