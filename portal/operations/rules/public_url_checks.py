"""The address by which Twilio calls us: whether it can be called at all, and what a signed call to it showed."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from portal.gateways.rules.webhook_round_trip import RoundTripResult
from portal.operations.rules.checks import CheckResult, CheckSpec

PUBLIC_URL_CHECK = CheckSpec("Twilio", "Public address")
ROUND_TRIP = CheckSpec("Portal", "Signature round trip")
_SET_PUBLIC_URL = "Set PORTAL_PUBLIC_URL to the https:// address that people and Twilio use."
_TRY_FROM_OUTSIDE = (
    "Where a network keeps a machine from calling its own public address, this says nothing: "
    "try the address from outside."
)


def display_url(url: str) -> str:
    """An address as it may be shown: without the parts that can hold a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}" if host else "an address that cannot be read"


def check_public_url(url: str, simulated: bool) -> CheckResult:
    """`simulated`: a simulator on this machine is the gateway, which may call this machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if "_" in host:
        return PUBLIC_URL_CHECK.failing(
            f"Twilio refuses addresses with an underscore in the host, and {host} has one: no text would leave.",
            "Give the portal a host name without one, and set PORTAL_PUBLIC_URL to it.",
        )
    if simulated:
        return PUBLIC_URL_CHECK.ok(f"{display_url(url)}, which the simulator can call.")
    if not is_public_host(host):
        return PUBLIC_URL_CHECK.failing(
            f"Twilio cannot call {display_url(url)}: it is inside this network.", _SET_PUBLIC_URL
        )
    if parts.scheme != "https":
        return PUBLIC_URL_CHECK.failing(
            f"{display_url(url)} is not https: sign-ins, numbers and words of texts would travel in the clear.",
            _SET_PUBLIC_URL,
        )
    return PUBLIC_URL_CHECK.ok(display_url(url))


def is_public_host(host: str) -> bool:
    """Whether a host may be reachable from the Internet, by its name alone."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".localhost", ".local", ".internal", ".lan", ".localdomain"))


def check_round_trip(found: RoundTripResult, url: str) -> CheckResult:
    if found.status is None:
        return ROUND_TRIP.failing(*_explain_no_response(found.error, url))
    if found.status == 204 and found.forged_status == 403:
        return ROUND_TRIP.ok("A signed call through the public address was taken, a forged one refused.")
    if found.status == 204:
        return ROUND_TRIP.failing(
            f"A signed call was taken, but a forged one was answered {found.forged_status or 'not at all'}, not 403.",
            f"Something else than the portal answers at {display_url(url)}: correct the proxy, or PORTAL_PUBLIC_URL.",
        )
    return ROUND_TRIP.failing(*_explain_status(found, url))


def _explain_no_response(trouble: str, url: str) -> tuple[str, str]:
    host = urlsplit(url).hostname or url
    words = {
        "name": (f"There is no host {host} to be found.", "Enter it in the DNS, or correct PORTAL_PUBLIC_URL."),
        "connection": (
            f"Nobody listens at {display_url(url)}.",
            f"Start the proxy or correct PORTAL_PUBLIC_URL. {_TRY_FROM_OUTSIDE}",
        ),
        "certificate": (
            f"The certificate of {host} is not trusted. Twilio does not call an address like that.",
            "Install one of a public authority, with the whole chain.",
        ),
        "time-out": (
            f"{display_url(url)} did not answer in time: a firewall drops the call, or all web threads are busy.",
            f"Open the port to the Internet. {_TRY_FROM_OUTSIDE}",
        ),
    }
    return words.get(trouble, (f"The answer of {display_url(url)} cannot be read.", "Look at the proxy's log."))


def _explain_status(found: RoundTripResult, url: str) -> tuple[str, str]:
    status = found.status or 0
    if 300 <= status < 400:
        return (
            f"{display_url(url)} leads elsewhere ({status} to {display_url(found.location)}). "
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
            f"{display_url(url)} answered {status}: what answers there does not pass /webhooks/ on to the portal.",
            "Let the proxy pass every path on, without a sign-in of its own.",
        )
    return f"{display_url(url)} answered {status}.", "Look at the logs of the proxy and of portal web."
