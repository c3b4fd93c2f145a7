"""Pure rules about content: Markdown, merge fields and the checks of content blocks."""
