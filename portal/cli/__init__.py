"""The `portal` command: one module per command group."""
