"""Receive email over SMTP."""
