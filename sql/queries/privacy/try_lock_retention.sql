SELECT pg_try_advisory_lock(hashtextextended('colloquy retention', 0))
