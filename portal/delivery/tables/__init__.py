"""Tables and queries that only the workers need."""
