"""Pages that put a new portal into service."""
