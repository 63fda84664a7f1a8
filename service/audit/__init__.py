"""What auditors read: the log's events, and conversations as they were."""
