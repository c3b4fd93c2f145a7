"""Text that would be code if a page took it for more than text."""
