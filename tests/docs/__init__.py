"""The pages of `docs/` that are generated, and what all pages are held to."""
