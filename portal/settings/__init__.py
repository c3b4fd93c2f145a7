"""The AppConfig settings and the sending numbers."""
