"""What Twilio is told about consent, and what it tells about phone numbers that carriers deactivated."""
