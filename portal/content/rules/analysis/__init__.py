"""What a parsed template needs of values, and what they can make of it."""
