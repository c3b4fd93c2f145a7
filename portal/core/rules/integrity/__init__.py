"""What shows that a value was not changed: signatures and message authentication codes."""
