"""Failures that a test or a person sets up on purpose."""
