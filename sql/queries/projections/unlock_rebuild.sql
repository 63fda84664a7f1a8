SELECT pg_advisory_unlock(hashtextextended('colloquy rebuild ' || $1, 0))
