"""Proofs for auditors: bundles, and what records that somebody read."""
