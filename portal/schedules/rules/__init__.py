"""When a schedule runs, without clock and database."""
