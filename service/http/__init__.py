"""The HTTP layer under all features."""
