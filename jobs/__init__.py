"""The RQ tasks, which take ids and call actions, the worker that runs them, and the scheduler."""
