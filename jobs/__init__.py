"""The RQ tasks, the worker that runs them, and the scheduler."""
