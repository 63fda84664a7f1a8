"""The sealing of logs: trees, checkpoints, keys, and verifying them."""
