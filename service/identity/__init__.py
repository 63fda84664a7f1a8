"""Users whom an institution's identity provider vouches for: signed tokens (JWT, RFC 7519)."""
