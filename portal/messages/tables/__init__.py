"""Tables and queries of communications, deliveries, attempts, receipts and lanes."""
