"""Tables and queries of accounts and their phone numbers."""
