"""Audit: reading events, replaying conversations, exporting and verifying proofs."""
