"""The HTTP service: routes, decisions, turns and the model."""
