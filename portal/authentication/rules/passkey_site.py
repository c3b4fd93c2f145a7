"""Which site passkeys belong to: browsers give them to no other, so that nobody can fish for them."""

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class PasskeySite:
    """`host` is what WebAuthn calls the RP ID; `origin` is what browsers put into each answer."""

    host: str
    origin: str


def passkey_site(public_url: str) -> PasskeySite | None:
    """None where browsers allow no passkeys: at an IP address, and over http at anything but localhost."""
    try:
        parts = urlsplit(public_url)
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        return None
    is_secure = parts.scheme == "https" or host == "localhost" or host.endswith(".localhost")
    if not is_secure or _is_address(host):
        return None
    suffix = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
    return PasskeySite(host, f"{parts.scheme}://{host}{suffix}")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
