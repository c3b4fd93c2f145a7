"""Clients for external services: Twilio, the mail server and the queue."""
