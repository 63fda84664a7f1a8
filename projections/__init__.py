"""Projections of the log: definitions, runner, rebuild."""
