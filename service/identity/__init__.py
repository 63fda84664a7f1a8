"""Identity: institutions, rosters, access tokens, signed tokens, and permissions."""
