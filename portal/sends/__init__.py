"""Sends: audience, preview, fan-out, forecast and progress."""
