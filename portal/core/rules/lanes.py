"""The lanes of a channel: urgent messages leave before bulk ones."""

from enum import IntEnum


class Lane(IntEnum):
    """The value is what `delivery.lane` holds; the lower one goes first."""

    URGENT = 0
    BULK = 1
