"""What a course offers: AI experiences."""
