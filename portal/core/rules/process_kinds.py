"""The kinds of process that record a heartbeat."""

WORKER_QUEUE_LABELS = {"worker:sms": "texts", "worker:email": "email", "worker:work": "sends"}
"""Kinds of worker that must be running, and what each one processes."""

SCHEDULER = "scheduler"
