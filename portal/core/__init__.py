"""What every other package stands on: configuration, database, transactions, the clock and the audit log."""
