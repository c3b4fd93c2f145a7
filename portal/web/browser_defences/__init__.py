"""What browsers and servers check of each other, beside sessions and CSRF tokens (ADR 64)."""
