"""Analytics: figures, reports, tables as files, and learning records."""
