"""Calls the webhook for alerts: one request, never elsewhere, and not for long."""

from collections.abc import Collection
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError, TimeoutError

from portal.core.rules.transport.outbound_addresses import is_permitted_for_webhook
from portal.core.translation import N_
from portal.gateways.checked_address import ForbiddenAddress, resolve
from portal.gateways.https_context import https_context
from portal.gateways.rules.alert_signature import HEADER, signature_header

_TIMEOUT = urllib3.Timeout(connect=5, read=10)
_UNREACHABLE, _TIMED_OUT = N_("The address could not be reached."), N_("It did not answer in time.")
_UNTRUSTED, _REDIRECTED = N_("Its certificate is not trusted."), N_("It redirects, and redirects are not followed.")
_FORBIDDEN = N_("Its host has a private address, or PORTAL_WEBHOOK_HOSTS does not name it. It was not called.")
_REFUSED = N_("It did not accept the alert: it answered %(status)s.")


def post_alert(url: str, secret: str, body: bytes, now_ms: int, named_hosts: Collection[str] = ()) -> tuple[str, int]:
    """Why it was not accepted ("" if it was), as a message to be translated, and the status (0 without a response).

    Redirects are not followed: they could lead into a private network. The response is not read.
    """
    try:
        status = _post(url, _headers(secret, body, now_ms), body, named_hosts)
    except ForbiddenAddress:
        return _FORBIDDEN, 0
    except SSLError:
        return _UNTRUSTED, 0
    except NewConnectionError:
        return _UNREACHABLE, 0
    except TimeoutError:
        return _TIMED_OUT, 0
    except (HTTPError, OSError, ValueError):
        return _UNREACHABLE, 0
    if 200 <= status < 300:
        return "", status
    return (_REDIRECTED if 300 <= status < 400 else _REFUSED), status


def _headers(secret: str, body: bytes, now_ms: int) -> dict[str, str]:
    signature = signature_header(secret, now_ms // 1000, body)
    return {"Content-Type": "application/json", "User-Agent": "portal", HEADER: signature}


def _post(url: str, headers: dict[str, str], body: bytes, named_hosts: Collection[str]) -> int:
    """To the address that was checked, with the certificate of the name. Returns the status."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = resolve(host, port, lambda address: is_permitted_for_webhook(host, address, named_hosts))
    target = parts._replace(netloc=f"[{address}]:{port}" if ":" in address else f"{address}:{port}").geturl()
    with urllib3.PoolManager(timeout=_TIMEOUT, ssl_context=https_context(), server_hostname=host) as pool:
        response = pool.request(
            "POST",
            target,
            body=body,
            headers={**headers, "Host": parts.netloc},
            retries=False,
            redirect=False,
            preload_content=False,
        )
        response.close()
    return response.status
