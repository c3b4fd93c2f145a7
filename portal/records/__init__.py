"""What was sent, found again and kept: search, exports, proof of notice, retention and personal data."""
