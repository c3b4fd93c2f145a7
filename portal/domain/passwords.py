"""What makes a password acceptable: its length, and that nobody would guess it first."""

SHORTEST, LONGEST = 12, 128
"""Characters. Longer than any password that people type, and short enough to hash."""


def problem(password: str) -> str | None:
    """The rule that it breaks, with the way out; None when it may be used."""
    if not SHORTEST <= len(password) <= LONGEST:
        return f"A password has {SHORTEST} to {LONGEST} characters."
    return None
