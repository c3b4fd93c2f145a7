"""Pure rules of alerts and charts."""
