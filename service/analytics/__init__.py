"""What analysts take away: learning records made from the log."""
