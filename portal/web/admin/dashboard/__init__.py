"""Administration → dashboard."""
