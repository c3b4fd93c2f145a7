"""What a template needs of values, what they can make of it, and which characters mislead."""
