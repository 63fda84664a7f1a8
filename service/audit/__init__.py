"""The auditors' desk: events, conversations as they were, proofs to take away."""
