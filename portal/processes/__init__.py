"""Starts and supervises the processes of `portal up`. It knows commands, not the product."""

import os


class StartupError(Exception):
    """The portal cannot start; the message tells a person why and what to do."""


def is_process_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs as another user
    return True
