"""Privacy: erasure, legal holds, retention, and learners' records."""
