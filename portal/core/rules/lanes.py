"""The lanes of a channel: urgent messages are sent before bulk ones."""

from enum import IntEnum


class Lane(IntEnum):
    """The value of `delivery.lane`; the lower one is sent first."""

    URGENT = 0
    BULK = 1
