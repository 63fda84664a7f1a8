"""Processes that serve: start, logs, supervision, database."""
