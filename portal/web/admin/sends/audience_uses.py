"""What goes on asking for a saved audience."""


def audience_uses(audience_id: int) -> list[str]:
    """The names of what would fail without it. Sends keep the definition, so they are none of it."""
    del audience_id
    return []
