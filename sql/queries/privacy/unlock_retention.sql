SELECT pg_advisory_unlock(hashtextextended('colloquy retention', 0))
