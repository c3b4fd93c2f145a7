"""What operators see and do: diagnostics, test messages, drills, queues, audit and health."""
