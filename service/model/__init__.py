"""Models that answer learners: a provider's, or the practice tutor without a provider."""
