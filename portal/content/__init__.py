"""Templates, merge fields and content blocks, and how they are rendered."""
