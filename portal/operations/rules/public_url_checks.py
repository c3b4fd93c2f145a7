"""Checks of our public address: whether Twilio can call it, and how it answers a signed call."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways.rules.webhook_round_trip import RoundTripResult
from portal.operations.rules.checks import CheckResult, CheckSpec

PUBLIC_URL_CHECK = CheckSpec("Twilio", N_("Public address"))
ROUND_TRIP = CheckSpec("Portal", N_("Signature round trip"))
_SET_PUBLIC_URL = N_("Set PublicUrl or PORTAL_PUBLIC_URL to the https:// address that people and Twilio use.")
_TRY_FROM_OUTSIDE = N_(
    "If your network keeps this machine from calling its own public address, the check proves nothing: "
    "try the address from outside."
)
_INVALID_URL = N_("an address that cannot be read")
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".localdomain")


def display_url(url: str) -> str:
    """The URL without the parts that may hold a secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return _(_INVALID_URL)
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}" if parts.hostname else _(_INVALID_URL)


def check_public_url(url: str, simulated: bool) -> CheckResult:
    """`simulated`: the gateway is a simulator in this network, which can call this machine."""
    parts, label = urlsplit(url), display_url(url)
    host = parts.hostname or ""
    if "_" in host:
        return PUBLIC_URL_CHECK.failing(
            _("Twilio refuses a host name with an underscore, such as %(host)s, so no text would be sent.", host=host),
            _("Give the portal a host name without one, and set PublicUrl or PORTAL_PUBLIC_URL to it."),
        )
    if simulated:
        return PUBLIC_URL_CHECK.ok(_("%(url)s, which the simulator can call.", url=label))
    if not is_public_host(host):
        return PUBLIC_URL_CHECK.failing(
            _("Twilio cannot call %(url)s: it is a private address.", url=label), _(_SET_PUBLIC_URL)
        )
    if parts.scheme != "https":
        return PUBLIC_URL_CHECK.failing(
            _("%(url)s is not https: passwords travel in the clear.", url=label), _(_SET_PUBLIC_URL)
        )
    return PUBLIC_URL_CHECK.ok(label)


def is_public_host(host: str) -> bool:
    """Whether the name allows the host to be reachable from the internet."""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_LOCAL_SUFFIXES)


def check_round_trip(result: RoundTripResult, url: str) -> CheckResult:
    if result.status is None:
        return ROUND_TRIP.failing(*explain_no_response(result.error, url))
    if result.status == 204 and result.forged_status == 403:
        return ROUND_TRIP.ok(
            _("The portal accepted a signed call through the public address and refused a forged one.")
        )
    if result.status == 204:
        status = str(result.forged_status or "")
        answered = _("A signed call was accepted, but a forged one was answered %(status)s.", status=status)
        return ROUND_TRIP.failing(
            answered if status else _("A signed call was accepted, but a forged one was not answered at all."),
            _(
                "%(url)s does not lead to the portal: correct the proxy, PublicUrl or PORTAL_PUBLIC_URL.",
                url=display_url(url),
            ),
        )
    return ROUND_TRIP.failing(*_explain_status(result.status, result.location, url))


def explain_no_response(error: str, url: str) -> tuple[str, str]:
    host, label, outside = urlsplit(url).hostname or url, display_url(url), _(_TRY_FROM_OUTSIDE)
    explanations = {
        "name": (_("There is no host %(host)s.", host=host), _("Add it to the DNS, or correct PORTAL_PUBLIC_URL.")),
        "connection": (
            _("Nothing is listening at %(url)s.", url=label),
            _("Start the proxy, or correct PublicUrl or PORTAL_PUBLIC_URL. %(otherwise)s", otherwise=outside),
        ),
        "certificate": (
            _("The certificate of %(host)s is not trusted, so Twilio does not call it.", host=host),
            _("Install one from a public authority, with the whole chain."),
        ),
        "time-out": (
            _("%(url)s did not answer in time: a firewall drops the call, or all web threads are busy.", url=label),
            _("Open the port to the internet. %(otherwise)s", otherwise=outside),
        ),
    }
    unknown = _("The response of %(url)s cannot be read.", url=label), _("Check the proxy’s log.")
    return explanations.get(error, unknown)


def _explain_status(status: int, location: str, url: str) -> tuple[str, str]:
    values = {"url": display_url(url), "status": str(status)}
    if 300 <= status < 400:
        return (
            _(
                "%(url)s redirects (%(status)s to %(target)s). Twilio follows with a GET and loses the data.",
                target=display_url(location),
                **values,
            ),
            _("Set PORTAL_PUBLIC_URL to the address it redirects to, or remove the redirect for /webhooks/."),
        )
    if status == 403:
        return (
            _("The call arrived, but its signature was refused."),
            _(
                "Every process needs the same public address and encryption key, the AuthToken must be the "
                "account’s, and the proxy must pass on the path and query unchanged."
            ),
        )
    if status in (401, 404, 405, 421):
        return (
            _("%(url)s answered %(status)s: the server there does not pass /webhooks/ on to the portal.", **values),
            _("Let the proxy pass on every path, without a sign-in of its own."),
        )
    return _("%(url)s answered %(status)s.", **values), _("Check the logs of the proxy and of portal web.")
