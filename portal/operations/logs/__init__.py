"""Verifies the logs, notes their ends outside the database, and exports the audit log."""
