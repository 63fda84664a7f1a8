"""What answers a learner: a provider's model, or the practice tutor when there is none."""
