"""Administration → People: accounts and their attributes."""
