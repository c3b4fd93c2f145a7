"""Tables and queries of templates and content blocks."""
