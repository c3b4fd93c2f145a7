"""The kinds of process that record a heartbeat."""

from portal.core.translation import N_

WORKER_QUEUE_LABELS = {"worker:sms": N_("texts"), "worker:email": N_("email"), "worker:work": N_("sends")}
"""Kinds of worker that must be running, and what each one processes."""

SCHEDULER = "scheduler"
