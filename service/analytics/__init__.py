"""What analysts take away: tables as files, and learning records made from the log."""
