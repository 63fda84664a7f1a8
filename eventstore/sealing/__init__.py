"""Seals logs and verifies them: Merkle trees, signed checkpoints, keys."""
