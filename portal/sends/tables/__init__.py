"""Tables and queries of sends and their audiences."""
