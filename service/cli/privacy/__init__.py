"""Commands for data protection."""
