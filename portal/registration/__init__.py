"""What carriers want to know before a number may text: the public pages, and the registration pack (ADR 52)."""
