"""A fictional certification board with its people, templates and some history: something to look at and to learn on."""
