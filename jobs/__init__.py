"""What RQ runs: thin functions that take ids and call actions, the worker that runs them, and the scheduler."""
