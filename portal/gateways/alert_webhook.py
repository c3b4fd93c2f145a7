"""Calls the webhook for alerts: one request, never elsewhere, and not for long."""

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, NewConnectionError, SSLError, TimeoutError

from portal.core.translation import N_
from portal.gateways.https_context import https_context
from portal.gateways.rules.alert_signature import HEADER, signature_header

_TIMEOUT = urllib3.Timeout(connect=5, read=10)
_UNREACHABLE, _TIMED_OUT = N_("The address could not be reached."), N_("It did not answer in time.")
_UNTRUSTED, _REDIRECTED = N_("Its certificate is not trusted."), N_("It redirects, and redirects are not followed.")
_REFUSED = N_("It did not accept the alert: it answered %(status)s.")


def post_alert(url: str, secret: str, body: bytes, now_ms: int) -> tuple[str, int]:
    """Why it was not accepted ("" if it was), as a message to be translated, and the status (0 without a response).

    Redirects are not followed: they could lead into a private network. The response is not read.
    """
    timestamp = now_ms // 1000
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "portal",
        HEADER: signature_header(secret, timestamp, body),
    }
    try:
        with urllib3.PoolManager(timeout=_TIMEOUT, ssl_context=https_context()) as pool:
            response = pool.request(
                "POST", url, body=body, headers=headers, retries=False, redirect=False, preload_content=False
            )
            status = response.status
            response.close()
    except SSLError:
        return _UNTRUSTED, 0
    except NewConnectionError:
        return _UNREACHABLE, 0
    except TimeoutError:
        return _TIMED_OUT, 0
    except (HTTPError, LocationParseError, ValueError):
        return _UNREACHABLE, 0
    if 200 <= status < 300:
        return "", status
    return (_REDIRECTED if 300 <= status < 400 else _REFUSED), status
