"""What came back when one of our public pages was fetched."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FetchedPage:
    """`status` is None if there was no answer; then `error` is name, connection, certificate, time-out or answer.

    `location` is where a redirect leads.
    """

    status: int | None = None
    html: str = ""
    location: str = ""
    error: str = ""
