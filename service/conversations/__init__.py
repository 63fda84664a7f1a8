"""The endpoints of conversations."""
