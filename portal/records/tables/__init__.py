"""Tables and queries of searches, exports and retention."""
