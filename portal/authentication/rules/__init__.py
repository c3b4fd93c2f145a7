"""Pure rules of signing in."""
