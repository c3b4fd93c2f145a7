"""Signed webhook requests to the application."""
