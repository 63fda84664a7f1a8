"""What is kept about learners: erasure, legal holds, retention, and the record of who read it."""
