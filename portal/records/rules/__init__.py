"""Pure rules of search, exports and retention."""
