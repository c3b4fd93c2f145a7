"""Pure rules of the workers: circuit breakers, concurrency and provider limits."""
