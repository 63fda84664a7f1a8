"""The log: events, append, read and follow."""
