"""Put a new portal into service: its first system administrator, and the steps of the checklist."""
