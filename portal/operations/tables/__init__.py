"""Tables and queries of queue statistics and refused webhooks."""
