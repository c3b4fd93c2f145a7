"""The address by which Twilio calls us: whether it can be called at all, and what a signed call to it showed."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from portal.domain.diagnosis import Check, Subject

PUBLIC_ADDRESS = Subject("Twilio", "Public address")
ROUND_TRIP = Subject("Portal", "Signature round trip")
CHECK_PATH = "/webhooks/twilio/check"
INBOUND_PATH = "/webhooks/twilio/inbound"
STATUS_PATH = "/webhooks/twilio/status"
_SET_IT = "Set PORTAL_PUBLIC_URL to the https:// address that people and Twilio use."
_OUTSIDE = (
    "Where a network keeps a machine from calling its own public address, this says nothing: "
    "try the address from outside."
)


@dataclass(frozen=True)
class RoundTrip:
    """A signed POST to our own public address. `forged` is how the same without a right signature was answered."""

    status: int | None = None
    trouble: Literal["", "name", "connection", "certificate", "time-out", "answer"] = ""
    location: str = ""
    forged: int | None = None


def shown(url: str) -> str:
    """An address as it may be shown: without the parts that can hold a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}" if host else "an address that cannot be read"


def public_address(url: str, simulated: bool) -> Check:
    """`simulated`: a simulator on this machine is the gateway, which may call this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if "_" in host:
        return PUBLIC_ADDRESS.failing(
            f"Twilio refuses addresses with an underscore in the host, and {host} has one: no text would leave.",
            "Give the portal a host name without one, and set PORTAL_PUBLIC_URL to it.",
        )
    if simulated:
        return PUBLIC_ADDRESS.ok(f"{shown(url)}, which the simulator can call.")
    if not is_public(host):
        return PUBLIC_ADDRESS.failing(f"Twilio cannot call {shown(url)}: it is inside this network.", _SET_IT)
    if parts.scheme != "https":
        return PUBLIC_ADDRESS.failing(
            f"{shown(url)} is not https: sign-ins, numbers and words of texts would travel in the clear.", _SET_IT
        )
    return PUBLIC_ADDRESS.ok(shown(url))


def is_public(host: str) -> bool:
    """Whether a host may be reachable from the Internet, by its name alone."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal", ".lan", ".localdomain"))


def round_trip(found: RoundTrip, url: str) -> Check:
    if found.status is None:
        return ROUND_TRIP.failing(*_unheard(found.trouble, url))
    if found.status == 204 and found.forged == 403:
        return ROUND_TRIP.ok("A signed call through the public address was taken, a forged one refused.")
    if found.status == 204:
        return ROUND_TRIP.failing(
            f"A signed call was taken, but a forged one was answered {found.forged or 'not at all'} instead of 403.",
            f"Something else than the portal answers at {shown(url)}: correct the proxy, or PORTAL_PUBLIC_URL.",
        )
    return ROUND_TRIP.failing(*_answered(found, url))


def _unheard(trouble: str, url: str) -> tuple[str, str]:
    host = urlsplit(url).hostname or url
    words = {
        "name": (f"There is no host {host} to be found.", "Enter it in the DNS, or correct PORTAL_PUBLIC_URL."),
        "connection": (f"Nobody listens at {shown(url)}.", f"Start the proxy or correct PORTAL_PUBLIC_URL. {_OUTSIDE}"),
        "certificate": (
            f"The certificate of {host} is not trusted. Twilio does not call an address like that.",
            "Install one of a public authority, with the whole chain.",
        ),
        "time-out": (
            f"{shown(url)} did not answer within seconds: a firewall drops the call, or all web threads are busy.",
            f"Open the port to the Internet. {_OUTSIDE}",
        ),
    }
    return words.get(trouble, (f"The answer of {shown(url)} cannot be read.", "Look at the proxy's log."))


def _answered(found: RoundTrip, url: str) -> tuple[str, str]:
    status = found.status or 0
    if 300 <= status < 400:
        return (
            f"{shown(url)} leads elsewhere ({status} to {shown(found.location)}). "
            "Twilio follows with a GET and loses what it had to say.",
            "Set PORTAL_PUBLIC_URL to the address it leads to, or take the redirect away for /webhooks/.",
        )
    if status == 403:
        return (
            "The call arrived, but its signature was refused.",
            "Every process needs the same PORTAL_PUBLIC_URL and encryption key, the AuthToken must be the account's, "
            "and the proxy must pass path and query on unchanged.",
        )
    if status in (401, 404, 405, 421):
        return (
            f"{shown(url)} answered {status}: what answers there does not pass /webhooks/ on to the portal.",
            "Let the proxy pass every path on, without a sign-in of its own.",
        )
    return f"{shown(url)} answered {status}.", "Look at the logs of the proxy and of portal web."
