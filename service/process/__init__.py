"""How the service runs."""
