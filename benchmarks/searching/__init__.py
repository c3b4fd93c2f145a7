"""Searches of communications, and a database that is large enough to measure them."""
