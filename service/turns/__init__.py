"""Replies under way."""
