"""Starts and supervises the processes of `portal up`. It knows commands, not the product."""


class StartupError(Exception):
    """The portal cannot start; the message tells a person why and what to do."""
