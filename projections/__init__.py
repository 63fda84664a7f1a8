"""Read views made from the log: runner, rebuild, queries."""
