"""A report for people, as one page."""
