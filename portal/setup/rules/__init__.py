"""Pure functions of the setup."""
