"""The `portal` command, a module for each command group."""
