"""Tables and queries of the setup."""
