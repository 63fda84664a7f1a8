"""Exports the tables for analysts as files, by account and day."""
