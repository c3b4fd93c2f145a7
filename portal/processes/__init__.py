"""What `portal up` starts and stops. Knows commands, not the product."""


class StartupError(Exception):
    """A start that cannot succeed; the text is one sentence for a person and names the way out."""
