"""The current time in the unit that the simulator stores."""

import time


def now_ms() -> int:
    return int(time.time() * 1000)
