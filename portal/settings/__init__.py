"""The AppConfig settings: read as one gateway, written one setting at a time."""
