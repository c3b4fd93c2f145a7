"""Webhooks that Twilio calls."""
