"""MACs rows of the logs with a key at the end of each transaction (ADR 63)."""
