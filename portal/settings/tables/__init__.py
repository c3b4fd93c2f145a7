"""Tables and queries of settings and sending numbers."""
