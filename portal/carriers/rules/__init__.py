"""Pure rules of changes to accounts."""
