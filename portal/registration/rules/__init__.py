"""What the fields of a registration must be. No database, no network."""
