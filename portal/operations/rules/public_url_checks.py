"""Checks of our public address: whether Twilio can call it, and how it answers a signed call."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from portal.gateways.rules.webhook_round_trip import RoundTripResult
from portal.operations.rules.checks import CheckResult, CheckSpec

PUBLIC_URL_CHECK = CheckSpec("Twilio", "Public address")
ROUND_TRIP = CheckSpec("Portal", "Signature round trip")
_SET_PUBLIC_URL = "Set PORTAL_PUBLIC_URL to the https:// address that people and Twilio use."
_TRY_FROM_OUTSIDE = (
    "If your network keeps this machine from calling its own public address, the check proves nothing: "
    "try the address from outside."
)
_INVALID_URL = "an address that cannot be read"
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".localdomain")


def display_url(url: str) -> str:
    """The URL without the parts that may hold a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _INVALID_URL
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else _INVALID_URL


def check_public_url(url: str, simulated: bool) -> CheckResult:
    """`simulated`: the gateway is a simulator in this network, which can call this machine."""
    parts, label = urlsplit(url), display_url(url)
    host = parts.hostname or ""
    if "_" in host:
        return PUBLIC_URL_CHECK.failing(
            f"Twilio refuses a host name with an underscore, such as {host}, so no text would be sent.",
            "Give the portal a host name without one, and set PORTAL_PUBLIC_URL to it.",
        )
    if simulated:
        return PUBLIC_URL_CHECK.ok(f"{label}, which the simulator can call.")
    if not is_public_host(host):
        return PUBLIC_URL_CHECK.failing(f"Twilio cannot call {label}: it is a private address.", _SET_PUBLIC_URL)
    if parts.scheme != "https":
        return PUBLIC_URL_CHECK.failing(f"{label} is not https: passwords travel in the clear.", _SET_PUBLIC_URL)
    return PUBLIC_URL_CHECK.ok(label)


def is_public_host(host: str) -> bool:
    """Whether the name allows the host to be reachable from the internet."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_SUFFIXES)


def check_round_trip(result: RoundTripResult, url: str) -> CheckResult:
    if result.status is None:
        return ROUND_TRIP.failing(*_explain_no_response(result.error, url))
    if result.status == 204 and result.forged_status == 403:
        return ROUND_TRIP.ok("The portal accepted a signed call through the public address and refused a forged one.")
    if result.status == 204:
        return ROUND_TRIP.failing(
            f"A signed call was accepted, but a forged one was answered {result.forged_status or 'not at all'}.",
            f"{display_url(url)} does not lead to the portal: correct the proxy, or PORTAL_PUBLIC_URL.",
        )
    return ROUND_TRIP.failing(*_explain_status(result.status, result.location, url))


def _explain_no_response(error: str, url: str) -> tuple[str, str]:
    host, label = urlsplit(url).hostname or url, display_url(url)
    explanations = {
        "name": (f"There is no host {host}.", "Add it to the DNS, or correct PORTAL_PUBLIC_URL."),
        "connection": (
            f"Nothing is listening at {label}.",
            f"Start the proxy, or correct PORTAL_PUBLIC_URL. {_TRY_FROM_OUTSIDE}",
        ),
        "certificate": (
            f"The certificate of {host} is not trusted, so Twilio does not call it.",
            "Install one from a public authority, with the whole chain.",
        ),
        "time-out": (
            f"{label} did not answer in time: a firewall drops the call, or all web threads are busy.",
            f"Open the port to the internet. {_TRY_FROM_OUTSIDE}",
        ),
    }
    return explanations.get(error, (f"The response of {label} cannot be read.", "Check the proxy's log."))


def _explain_status(status: int, location: str, url: str) -> tuple[str, str]:
    label = display_url(url)
    if 300 <= status < 400:
        return (
            f"{label} redirects ({status} to {display_url(location)}). Twilio follows with a GET and loses the data.",
            "Set PORTAL_PUBLIC_URL to the address it redirects to, or remove the redirect for /webhooks/.",
        )
    if status == 403:
        return (
            "The call arrived, but its signature was refused.",
            "Every process needs the same PORTAL_PUBLIC_URL and encryption key, the AuthToken must be the account's, "
            "and the proxy must pass on the path and query unchanged.",
        )
    if status in (401, 404, 405, 421):
        return (
            f"{label} answered {status}: the server there does not pass /webhooks/ on to the portal.",
            "Let the proxy pass on every path, without a sign-in of its own.",
        )
    return f"{label} answered {status}.", "Check the logs of the proxy and of portal web."
