"""Demo data: a fictional certification board with accounts, templates and past sends."""
