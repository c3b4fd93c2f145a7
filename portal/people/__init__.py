"""Accounts of people changed by administrators: edited, deactivated, merged, imported, invited."""
