"""What analysts take away: figures, reports, tables as files, learning records."""
