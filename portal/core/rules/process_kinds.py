"""The kinds of process that give a heartbeat."""

WORKER_QUEUE_LABELS = {"worker:sms": "texts", "worker:email": "email", "worker:work": "sends"}
"""Kinds of worker that must be alive, and what each one carries."""


SCHEDULER = "scheduler"
