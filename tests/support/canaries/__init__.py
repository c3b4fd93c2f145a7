"""Secrets and phone numbers that stand out, and the search for them wherever the portal writes."""
