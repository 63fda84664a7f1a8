"""A model judges a whole conversation."""
