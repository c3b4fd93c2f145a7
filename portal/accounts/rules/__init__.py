"""Pure rules about accounts and passwords."""
