"""The template editor: preview, drafts, and versions."""
