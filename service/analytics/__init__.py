"""What analysts take away: exports, statements, reports."""
