"""The rules of a dialogue, and its place in the log."""
