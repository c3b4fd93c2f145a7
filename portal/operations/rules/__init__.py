"""Pure rules of the diagnostics and drills."""
