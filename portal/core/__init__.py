"""The base of all other packages: configuration, database, transactions, clock and audit log."""
