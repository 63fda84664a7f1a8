SELECT pg_try_advisory_lock(hashtextextended('colloquy rebuild ' || $1, 0))
